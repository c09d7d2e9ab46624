/*
 * raw_pair TUN ADDRESS DEVICE EXIT: the floor for a proxy and a router with a raw ICMP exit. Two
 * processes make the system calls of onion's packet threads, one packet a call, and nothing else.
 * pair.h draws the rest.
 *
 *     ── UDP ── recv ─► session, TTL ─► sendto ── raw socket on DEVICE, bound to EXIT ──► world
 *     ── UDP ── send ◄─ session, TTL ◄─ read ──── raw socket on DEVICE, bound to EXIT ◄── world
 *
 * Echo requests leave with the exit's own identifier, as from a NAT (RFC 5508), and replies return
 * with the client's. The caller leads packets into the TUN device.
 */
#include <linux/icmp.h>
#include <netinet/in.h>

#include "pair.h"

/* ICMP identifiers have 16 bits (RFC 792). */
enum { IDENTIFIERS = 65536 };

/* One client's pings with one identifier to one destination; addresses in network order. */
struct session {
	uint32_t client, destination;
	uint16_t identifier;
	bool used;
	struct session *next; /* in its chain */
};

/* By the identifier that the world sees, and in chains by a hash of the client's choices. */
static struct session sessions[IDENTIFIERS];
static struct session *chains[IDENTIFIERS];
static uint16_t next_external;

static int world;

/* The last options of the socket. Only changes are set again. */
static int ttl_set = -1, tos_set = -1, discover_set = -1;

static struct session **chain_of(uint32_t client, uint16_t identifier, uint32_t destination)
{
	uint32_t mixed = (client ^ destination * 31u ^ identifier) * 2654435761u;
	return &chains[mixed >> 16];
}

static struct session *open_session(uint32_t client, uint16_t identifier, uint32_t destination)
{
	/*
	 * Never the client's own identifier, because a client on this host would see the world's replies,
	 * too.
	 */
	if (next_external == identifier)
		next_external++;
	struct session *it = &sessions[next_external++];
	if (it->used) { /* the oldest gives way */
		struct session **link = chain_of(it->client, it->identifier, it->destination);
		while (*link != it)
			link = &(*link)->next;
		*link = it->next;
	}
	struct session **chain = chain_of(client, identifier, destination);
	*it = (struct session){ client, destination, identifier, true, *chain };
	return *chain = it;
}

static struct session *session_of(uint32_t client, uint16_t identifier, uint32_t destination)
{
	for (struct session *it = *chain_of(client, identifier, destination); it != NULL; it = it->next)
		if (it->client == client && it->identifier == identifier && it->destination == destination)
			return it;
	return open_session(client, identifier, destination);
}

static void set(int option, int value, int *last)
{
	if (value == *last)
		return;
	if (setsockopt(world, IPPROTO_IP, option, &value, sizeof value) < 0)
		die("setsockopt");
	*last = value;
}

static void link_to_world(int udp)
{
	for (int turn = 0; turn < BUDGET; turn++) {
		ssize_t length = receive_cell(udp, RELAY);
		if (length < 0)
			return;
		size_t header = ipv4_check(packet, (size_t)length);
		if (header == 0 || !icmp_check(packet, header) || packet[8] <= 1 /* TTL */)
			continue;
		uint8_t *icmp = packet + header;
		if (icmp[0] != ICMP_ECHO)
			continue;
		struct sockaddr_in to = { .sin_family = AF_INET };
		uint32_t client;
		memcpy(&client, packet + 12, sizeof client);
		memcpy(&to.sin_addr, packet + 16, sizeof to.sin_addr);
		struct session *it = session_of(client, (uint16_t)word_at(icmp + 4), to.sin_addr.s_addr);
		replace_word(icmp + 4, (size_t)(it - sessions), icmp + 2);
		set(IP_TTL, packet[8] - 1, &ttl_set);
		set(IP_TOS, packet[1], &tos_set);
		set(IP_MTU_DISCOVER, packet[6] & 0x40 ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT, &discover_set);
		size_t message = word_at(packet + 2) - header;
		if (sendto(world, icmp, message, 0, (struct sockaddr *)&to, sizeof to) < 0 && !passing(errno))
			die("send to the world");
	}
}

static void world_to_link(int udp)
{
	for (int turn = 0; turn < BUDGET; turn++) {
		ssize_t length = read(world, packet, PACKET_MAX);
		if (length < 0) {
			if (!passing(errno))
				die("read from the world");
			return;
		}
		size_t header = ipv4_check(packet, (size_t)length);
		if (header == 0 || !icmp_check(packet, header) || packet[8] <= 1 /* TTL */)
			continue;
		uint8_t *icmp = packet + header;
		const struct session *it = &sessions[word_at(icmp + 4)];
		if (icmp[0] != ICMP_ECHOREPLY || !it->used || memcmp(packet + 12, &it->destination, 4) != 0)
			continue;
		replace_word(icmp + 4, it->identifier, icmp + 2);
		replace_word(packet + 8, word_at(packet + 8) - 0x0100 /* TTL less one */, packet + 10);
		const uint8_t *client = (const uint8_t *)&it->client;
		replace_word(packet + 16, word_at(client), packet + 10);
		replace_word(packet + 18, word_at(client + 2), packet + 10);
		send_cell(udp, RETURN, word_at(packet + 2));
	}
}

static void router(int udp)
{
	struct pollfd sources[] = {
		{ .fd = udp, .events = POLLIN },
		{ .fd = world, .events = POLLIN },
		{ .fd = doorbell, .events = POLLIN },
	};
	while (wait_for(sources, 3)) {
		if (sources[0].revents)
			link_to_world(udp);
		if (sources[1].revents)
			world_to_link(udp);
	}
}

static void open_world(const char *device, const char *address)
{
	struct sockaddr_in inet = { .sin_family = AF_INET };
	if (inet_pton(AF_INET, address, &inet.sin_addr) != 1) {
		fprintf(stderr, "%s: no IPv4 address\n", address);
		exit(2);
	}
	world = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (world < 0)
		die("raw ICMP socket");
	/* The incoming types that can be ours: a reply and the three errors. */
	struct icmp_filter filter = {
		.data = ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED |
			  1u << ICMP_PARAMETERPROB),
	};
	if (setsockopt(world, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) < 0 ||
	    setsockopt(world, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0 ||
	    bind(world, (struct sockaddr *)&inet, sizeof inet) < 0)
		die(device);
	int bytes = RECEIVE_BUFFER;
	if (setsockopt(world, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
		setsockopt(world, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: raw_pair TUN ADDRESS DEVICE EXIT\n");
		return 2;
	}
	open_world(argv[3], argv[4]);
	return run_pair(argv[1], argv[2], router);
}
