/*
 * tun_pair TUN ADDRESS: the floor for a proxy and a router that answers. Two processes make the
 * system calls of onion's packet threads and nothing else; pair.h draws them.
 *
 *     ── UDP ── recv ─► answer in place ─► send ── UDP ──
 */
#include "pair.h"

static void answer_link(int udp)
{
	for (int turn = 0; turn < BUDGET; turn++) {
		ssize_t length = receive_cell(udp, RELAY);
		if (length < 0)
			return;
		size_t reply = echo_answer(packet, (size_t)length);
		if (reply > 0)
			send_cell(udp, RETURN, reply);
	}
}

static void router(int udp)
{
	struct pollfd sources[] = {
		{ .fd = udp, .events = POLLIN },
		{ .fd = doorbell, .events = POLLIN },
	};
	while (wait_for(sources, 2))
		if (sources[0].revents)
			answer_link(udp);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: tun_pair TUN ADDRESS\n");
		return 2;
	}
	return run_pair(argv[1], argv[2], router);
}
