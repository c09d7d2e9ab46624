/*
 * What the floors of two processes share: the proxy, the cells, and the life of both. Each program
 * adds its own router.
 *
 *              proxy                             router
 *     kernel ── TUN ── read ─► send ── UDP, 127.0.0.1 ── recv ─► …
 *     kernel ── TUN ── write ◄─ recv ── UDP, 127.0.0.1 ── send ◄─ …
 *
 * Each waits in poll() for its sources and a doorbell (an eventfd), then drains every ready source
 * by non-blocking calls, one packet a call. A packet travels as a cell: a header of eight bytes,
 * then the packet.
 *
 * SIGTERM and SIGINT ring the doorbell, and the loop returns. The router ends with the proxy,
 * however that ends.
 */
#ifndef PAIR_H
#define PAIR_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "floor.h"

/* A cell header: type, three zero bytes, circuit id in network order. */
enum { CELL_HEADER = 8, RELAY = 0x51, RETURN = 0x54, CIRCUIT = 1 };

/* Packets taken from one source before the others have a turn. */
enum { BUDGET = 64 };

/* Bytes that queue between the two processes while one of them waits for a core. */
enum { RECEIVE_BUFFER = 4 << 20 };

/* A packet, with room for the header in front of it, so that nothing is copied. */
static uint8_t cell[CELL_HEADER + PACKET_MAX];
static uint8_t *const packet = cell + CELL_HEADER;

static int doorbell;

static void ring(int signal)
{
	(void)signal;
	int saved = errno;
	uint64_t one = 1;
	if (write(doorbell, &one, sizeof one) < 0) {
		/* Full, so already ringing. */
	}
	errno = saved;
}

static void hang_doorbell(void)
{
	doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (doorbell < 0)
		die("eventfd");
	struct sigaction action = { .sa_handler = ring, .sa_flags = SA_RESTART };
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static int udp_bind(struct sockaddr_in *address)
{
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (udp < 0)
		die("socket");
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof *address;
	if (bind(udp, (struct sockaddr *)address, length) < 0 ||
	    getsockname(udp, (struct sockaddr *)address, &length) < 0)
		die("bind");
	int bytes = RECEIVE_BUFFER;
	if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
		setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	return udp;
}

/* Whether a failed non-blocking call means "not now" or one lost packet, and not a broken loop. */
static bool passing(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS || error == EMSGSIZE ||
	       error == ECONNREFUSED /* the other process has just ended */ || error == EIO /* TUN is down */ ||
	       error == EINVAL /* not accepted by TUN */;
}

static void put_header(uint8_t *at, uint8_t type)
{
	uint32_t circuit = htonl(CIRCUIT);
	memset(at, 0, CELL_HEADER);
	at[0] = type;
	memcpy(at + 4, &circuit, sizeof circuit);
}

static void send_cell(int udp, uint8_t type, size_t length)
{
	put_header(cell, type);
	if (send(udp, cell, CELL_HEADER + length, 0) < 0 && !passing(errno))
		die("send");
}

/*
 * Receives one cell into `cell`. Returns the length of its body, 0 for a cell to ignore, -1 if
 * there is none.
 */
static ssize_t receive_cell(int udp, uint8_t type)
{
	ssize_t length = recv(udp, cell, sizeof cell, 0);
	if (length < 0) {
		if (!passing(errno))
			die("recv");
		return -1;
	}
	uint8_t due[CELL_HEADER];
	put_header(due, type);
	if (length < CELL_HEADER || memcmp(cell, due, CELL_HEADER) != 0)
		return 0;
	return length - CELL_HEADER;
}

static void tun_to_link(int tun, int udp)
{
	for (int turn = 0; turn < BUDGET; turn++) {
		ssize_t length = read(tun, packet, PACKET_MAX);
		if (length < 0) {
			if (!passing(errno))
				die("read from TUN");
			return;
		}
		size_t header = ipv4_check(packet, (size_t)length);
		if (header > 0 && icmp_check(packet, header))
			send_cell(udp, RELAY, (size_t)length);
	}
}

static void link_to_tun(int udp, int tun)
{
	for (int turn = 0; turn < BUDGET; turn++) {
		ssize_t length = receive_cell(udp, RETURN);
		if (length < 0)
			return;
		size_t header = ipv4_check(packet, (size_t)length);
		if (header == 0 || !icmp_check(packet, header))
			continue;
		if (write(tun, packet, (size_t)length) < 0 && !passing(errno))
			die("write to TUN");
	}
}

/* Waits until a source is readable. Returns false once the doorbell, the last source, has rung. */
static bool wait_for(struct pollfd *sources, nfds_t count)
{
	while (poll(sources, count, -1) < 0)
		if (errno != EINTR)
			die("poll");
	return sources[count - 1].revents == 0;
}

static void proxy(int tun, int udp)
{
	struct pollfd sources[] = {
		{ .fd = tun, .events = POLLIN },
		{ .fd = udp, .events = POLLIN },
		{ .fd = doorbell, .events = POLLIN },
	};
	while (wait_for(sources, 3)) {
		if (sources[0].revents)
			tun_to_link(tun, udp);
		if (sources[1].revents)
			link_to_tun(udp, tun);
	}
}

/*
 * Runs both: `router` in a child process with its end of the link, and here the proxy with the TUN
 * device `name`. Returns main()'s result.
 */
static int run_pair(const char *name, const char *address, void (*router)(int udp))
{
	struct sockaddr_in near, far;
	int proxy_udp = udp_bind(&near), router_udp = udp_bind(&far);
	if (connect(proxy_udp, (struct sockaddr *)&far, sizeof far) < 0 ||
	    connect(router_udp, (struct sockaddr *)&near, sizeof near) < 0)
		die("connect");

	pid_t parent = getpid(), child = fork();
	if (child < 0)
		die("fork");
	/* Made after the fork, because an earlier eventfd would be one doorbell for both. */
	hang_doorbell();
	if (child == 0) {
		close(proxy_udp);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent) /* otherwise it ended before the line above */
			router(router_udp);
		return 0;
	}
	close(router_udp);
	int tun = tun_make(name, address, O_NONBLOCK);
	say_ready();
	proxy(tun, proxy_udp);
	kill(child, SIGTERM);
	return waitpid(child, NULL, 0) == child ? 0 : 1;
}

#endif
