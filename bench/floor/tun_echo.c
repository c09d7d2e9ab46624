/*
 * tun_echo TUN ADDRESS: the minimum cost of a user-space answer to ping through a TUN device. One
 * process, one thread, two system calls a packet:
 *
 *     kernel ── TUN ── read ─► answer in place ─► write ── TUN ── kernel
 *
 * SIGTERM ends it by default. Nothing needs undoing but the file descriptor, which the kernel
 * closes.
 */
#include <errno.h>

#include "floor.h"

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: tun_echo TUN ADDRESS\n");
		return 2;
	}
	int tun = tun_make(argv[1], argv[2], 0);
	say_ready();

	static uint8_t packet[PACKET_MAX];
	for (;;) {
		ssize_t length = read(tun, packet, sizeof packet);
		if (length < 0) {
			if (errno == EINTR)
				continue;
			die("read from TUN");
		}
		size_t reply = echo_answer(packet, (size_t)length);
		/* A failed write drops only this packet, as an interface that is down would. */
		if (reply > 0 && write(tun, packet, reply) < 0 && errno != EIO && errno != EINVAL)
			die("write to TUN");
	}
}
