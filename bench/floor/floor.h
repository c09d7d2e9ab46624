/*
 * What the floor programs share: making a TUN device, and onion's checks and answers for echo
 * requests. Everything is static inline, so each program is one translation unit.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The largest IPv4 packet, RFC 791 section 3.1: total length has 16 bits. */
#define PACKET_MAX 65535

static inline void die(const char *doing)
{
	perror(doing);
	exit(1);
}

/*
 * Makes the TUN device `name`, without a protocol word before packets, gives it `address` (in a /24
 * block unless it has another prefix length), and sets it up. The device ends with its file
 * descriptor. A persistent one would lose its carrier with each program, and the kernel would
 * notice that up to a second later and drop the next program's packets.
 */
static inline int tun_make(const char *name, const char *address, int open_flags)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in inet = { .sin_family = AF_INET };
	char host[INET_ADDRSTRLEN] = { 0 };
	unsigned prefix = 24;
	sscanf(address, "%15[0-9.]/%u", host, &prefix);
	if (strlen(name) >= sizeof request.ifr_name || inet_pton(AF_INET, host, &inet.sin_addr) != 1 ||
	    prefix < 1 || prefix > 31) {
		fprintf(stderr, "%s %s: no name and IPv4 address\n", name, address);
		exit(2);
	}
	strcpy(request.ifr_name, name);
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | open_flags);
	if (tun < 0)
		die("/dev/net/tun");
	if (ioctl(tun, TUNSETIFF, &request) < 0)
		die(name);

	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&request.ifr_addr, &inet, sizeof inet);
	if (ioctl(control, SIOCSIFADDR, &request) < 0)
		die("set the address");
	inet.sin_addr.s_addr = htonl(~0u << (32 - prefix));
	memcpy(&request.ifr_netmask, &inet, sizeof inet);
	if (ioctl(control, SIOCSIFNETMASK, &request) < 0)
		die("set the netmask");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(control, SIOCSIFFLAGS, &request) < 0)
		die("set the device up");
	close(control);
	return tun;
}

/* Tells the bench that packets are answered now. */
static inline void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

/*
 * RFC 1071 checksum. The sum is the same in either byte order, so words are added as they lie in
 * memory, four bytes at a time, and the result is stored unchanged. It is 0 over bytes with a valid
 * checksum.
 */
static inline uint16_t checksum(const uint8_t *bytes, size_t length)
{
	uint64_t sum = 0;
	for (; length >= 4; bytes += 4, length -= 4) {
		uint32_t word;
		memcpy(&word, bytes, 4);
		sum += word;
	}
	uint8_t rest[4] = { 0 };
	memcpy(rest, bytes, length);
	uint32_t word;
	memcpy(&word, rest, 4);
	sum += word;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline size_t word_at(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

/* The header length of a valid IPv4 packet; 0 for anything else. */
static inline size_t ipv4_check(const uint8_t *packet, size_t length)
{
	if (length < 20 || packet[0] >> 4 != 4)
		return 0;
	size_t header = (size_t)(packet[0] & 15) * 4;
	size_t total = word_at(packet + 2);
	if (header < 20 || total < header || total > length)
		return 0;
	return checksum(packet, header) == 0 ? header : 0;
}

/* Whether the valid IPv4 packet with this header holds a whole, valid ICMP message. */
static inline bool icmp_check(const uint8_t *packet, size_t header)
{
	size_t total = word_at(packet + 2);
	return packet[9] == 1 /* ICMP */ && (word_at(packet + 6) & 0x3fff) == 0 /* no fragment */ &&
	       total >= header + 8 && checksum(packet + header, total - header) == 0;
}

/*
 * Replaces the 16-bit word at `at` and updates the checksum at `check`: HC' = ~(~HC + ~m + m') (RFC
 * 1624 section 3).
 */
static inline void replace_word(uint8_t *at, size_t word, uint8_t *check)
{
	size_t sum = (~word_at(check) & 0xffff) + (~word_at(at) & 0xffff) + word;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	check[0] = (uint8_t)(sum >> 8);
	check[1] = (uint8_t)sum;
	at[0] = (uint8_t)(word >> 8);
	at[1] = (uint8_t)word;
}

/*
 * Turns an echo request into its reply, in place (RFC 792): addresses swapped, type 0, the rest
 * unchanged. Returns the reply's length; 0 if the packet is not a valid, whole echo request.
 */
static inline size_t echo_answer(uint8_t *packet, size_t length)
{
	size_t header = ipv4_check(packet, length);
	if (header == 0 || !icmp_check(packet, header))
		return 0;
	uint8_t *icmp = packet + header;
	if (icmp[0] != 8 || icmp[1] != 0)
		return 0;

	uint8_t source[4];
	memcpy(source, packet + 12, 4);
	memcpy(packet + 12, packet + 16, 4);
	memcpy(packet + 16, source, 4); /* the header's sum does not depend on their order */
	replace_word(icmp, 0, icmp + 2);
	return word_at(packet + 2);
}

#endif
