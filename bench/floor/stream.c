/*
 * stream serve ADDRESS PORT
 * stream messages ADDRESS PORT [--socks PORT] [--every SECONDS] [--seconds S] [--warmup S] [--watch PID]...
 * stream bulk     ADDRESS PORT [--socks PORT]                   [--seconds S] [--warmup S] [--watch PID]...
 * stream datagrams ADDRESS PORT                                 [--seconds S] [--warmup S] [--watch PID]...
 *
 * Measures a way for TCP streams, and perhaps UDP, and prints one line of JSON.
 *
 * - `serve` answers at ADDRESS and PORT, each connection in its own process, and prints `ready`.
 * - `messages` sends 64 bytes over one open stream, waits until they return, and sends the next: at
 *   once, or every `every` seconds. Unlike a ping, a round trip includes the server's wake-up and
 *   TCP.
 * - `bulk` receives what the server sends as fast as it can.
 * - `datagrams` receives datagrams that the server sends as fast as it can, while the stream that
 *   asked for them is open. Doubled datagrams count twice; no way that is measured here doubles
 *   them.
 * - With --socks a SOCKS5 proxy (RFC 1928) on 127.0.0.1 opens the stream.
 *
 * Measurement starts after `warmup` seconds and lasts `seconds`. The CPU time is that of the
 * --watch processes over the same span. Every byte is compared with the right one, and the first
 * wrong one ends the run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "meter.h"

enum {
	MESSAGE = 64,
	/* Bytes of one read or write in bulk. */
	CHUNK = 256 << 10,
	/* Bytes of a datagram. */
	DATAGRAM = 1400,
	/* Datagrams between two checks whether they are still wanted. */
	DATAGRAMS_AT_ONCE = 64,
	/* The pattern in bulk repeats after this many bytes. */
	PERIOD = 256,
	/* Without data for this long, the way is dead. */
	PATIENCE_S = 20,
	/* Max time to send datagrams, in case the way is dead and no end is noticed. */
	DATAGRAMS_FOR_S = 60,
};

/* The first byte of a stream tells the server what to do. */
enum { ECHO_MODE = 'e', BULK_MODE = 'b', DATAGRAM_MODE = 'd' };

static struct {
	struct sockaddr_in address;
	unsigned socks;
	double every, seconds, warmup;
} options = { .address.sin_family = AF_INET, .seconds = 1 };

static void fail(const char *why)
{
	fprintf(stderr, "error: %s\n", why);
	exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: stream serve|messages|bulk|datagrams ADDRESS PORT [--socks PORT] [--every SECONDS] "
			"[--seconds S] [--warmup S] [--watch PID]...\n");
	exit(2);
}

/* Byte `at` of the pattern is the same at `at` + PERIOD. */
static uint8_t pattern[CHUNK + PERIOD];

static void make_pattern(void)
{
	for (size_t at = 0; at < sizeof pattern; at++)
		pattern[at] = (uint8_t)(at * 151 + 7);
}

static void write_all(int fd, const void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t count = write(fd, (const char *)bytes + done, length - done);
		if (count < 0 && errno != EINTR)
			die("write to the stream");
		done += count > 0 ? (size_t)count : 0;
	}
}

static size_t read_some(int fd, void *bytes, size_t room)
{
	for (;;) {
		ssize_t count = read(fd, bytes, room);
		if (count > 0)
			return (size_t)count;
		if (count == 0)
			fail("the stream has ended");
		if (errno == EAGAIN)
			fail("nothing comes any more");
		if (errno != EINTR)
			die("read from the stream");
	}
}

static void read_all(int fd, void *bytes, size_t length)
{
	for (size_t done = 0; done < length;)
		done += read_some(fd, (char *)bytes + done, length - done);
}

static void set_up(int stream)
{
	int on = 1;
	struct timeval patience = { .tv_sec = PATIENCE_S };
	if (setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
	    setsockopt(stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		die("setsockopt");
}

/* A UDP socket at the address of this end of `stream`. */
static int open_datagrams(int stream)
{
	struct sockaddr_in own;
	socklen_t length = sizeof own;
	if (getsockname(stream, (struct sockaddr *)&own, &length) < 0)
		die("getsockname");
	own.sin_port = 0;
	int room = 4 << 20, udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (udp < 0 || bind(udp, (struct sockaddr *)&own, sizeof own) < 0)
		die("open a UDP socket");
	/* As root, this may exceed the system's limit. */
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return udp;
}

/*
 * Sends datagrams to the port that the other end of `stream` names, until that closes the stream.
 */
static void send_datagrams(int stream)
{
	struct sockaddr_in to;
	socklen_t length = sizeof to;
	int udp = open_datagrams(stream);
	if (getpeername(stream, (struct sockaddr *)&to, &length) < 0 ||
	    read(stream, &to.sin_port, sizeof to.sin_port) != sizeof to.sin_port ||
	    connect(udp, (struct sockaddr *)&to, sizeof to) < 0)
		return;
	uint64_t until = now_ns() + DATAGRAMS_FOR_S * 1000000000ull;
	for (char none;
	     now_ns() < until && recv(stream, &none, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);)
		/* A refused datagram is lost, as on its way. */
		for (int sent = 0; sent < DATAGRAMS_AT_ONCE; sent++)
			send(udp, pattern, DATAGRAM, 0);
}

/* Serves one stream until its other end closes, which is no error. */
static void serve_one(int stream)
{
	char mode;
	static char bytes[CHUNK];
	set_up(stream);
	if (read(stream, &mode, 1) != 1)
		return;
	if (mode == BULK_MODE) {
		/* The rest of a partial write must not shift the pattern. */
		for (size_t at = 0;; at %= PERIOD) {
			ssize_t count = write(stream, pattern + at, CHUNK);
			if (count < 0)
				return;
			at += (size_t)count;
		}
	}
	if (mode == DATAGRAM_MODE)
		return send_datagrams(stream);
	for (ssize_t length; (length = read(stream, bytes, sizeof bytes)) > 0;)
		for (ssize_t done = 0, count; done < length; done += count)
			if ((count = write(stream, bytes + done, (size_t)(length - done))) < 0)
				return;
}

static void serve(void)
{
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(listener, (struct sockaddr *)&options.address, sizeof options.address) < 0 ||
	    listen(listener, 16) < 0)
		die("listen");
	signal(SIGCHLD, SIG_IGN); /* no zombies */
	signal(SIGPIPE, SIG_IGN);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int stream = accept(listener, NULL, NULL);
		if (stream < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			die("accept");
		}
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			close(listener);
			serve_one(stream);
			_exit(0);
		}
		close(stream);
	}
}

/* Asks a SOCKS5 proxy for a stream to the server, without authentication. */
static void ask_proxy(int stream)
{
	uint8_t answer[10], request[10] = { 5, 1 /* connect */, 0, 1 /* IPv4 */ };
	write_all(stream, (const uint8_t[]){ 5, 1, 0 /* no authentication */ }, 3);
	read_all(stream, answer, 2);
	if (answer[0] != 5 || answer[1] != 0)
		fail("the SOCKS proxy wants authentication");
	memcpy(request + 4, &options.address.sin_addr, 4);
	memcpy(request + 8, &options.address.sin_port, 2);
	write_all(stream, request, sizeof request);
	read_all(stream, answer, sizeof answer);
	if (answer[1] != 0) {
		fprintf(stderr, "error: the SOCKS proxy refuses with code %d\n", answer[1]);
		exit(1);
	}
}

static int open_stream(char mode)
{
	struct sockaddr_in to = options.address;
	if (options.socks != 0) {
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		to.sin_port = htons((uint16_t)options.socks);
	}
	int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stream < 0 || connect(stream, (struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	set_up(stream);
	if (options.socks != 0)
		ask_proxy(stream);
	write_all(stream, &mode, 1);
	return stream;
}

static struct {
	bool counting;
	uint64_t starts_ns, cpu_ns, bytes;
	double seconds;
} span;

/* Starts the span after the warm-up. Ends it in time, and then returns false. */
static bool go_on(uint64_t begun_ns)
{
	uint64_t now = now_ns();
	if (!span.counting) {
		if (now - begun_ns < (uint64_t)(options.warmup * 1e9))
			return true;
		span.counting = true;
		span.cpu_ns = watched_cpu_ns();
		span.starts_ns = now_ns();
		return true;
	}
	if (now - span.starts_ns < (uint64_t)(options.seconds * 1e9))
		return true;
	span.seconds = (double)(now - span.starts_ns) / 1e9;
	span.cpu_ns = watched_cpu_ns() - span.cpu_ns;
	return false;
}

static void exchange_messages(void)
{
	int stream = open_stream(ECHO_MODE);
	uint8_t message[MESSAGE], back[MESSAGE];
	memcpy(message, pattern, sizeof message);
	uint64_t begun = now_ns();
	for (uint64_t number = 0; go_on(begun); number++) {
		memcpy(message, &number, sizeof number);
		uint64_t sent = now_ns();
		write_all(stream, message, sizeof message);
		read_all(stream, back, sizeof back);
		uint64_t came = now_ns();
		if (memcmp(message, back, sizeof back) != 0)
			fail("a message came back damaged");
		if (span.counting) {
			record_round_trip(came - sent);
			span.bytes += sizeof back;
		}
		uint64_t next = sent + (uint64_t)(options.every * 1e9);
		if (next > came) {
			struct timespec at = { (time_t)(next / 1000000000), (long)(next % 1000000000) };
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		}
	}
}

static void take_bulk(void)
{
	int stream = open_stream(BULK_MODE);
	static uint8_t bytes[CHUNK];
	uint64_t begun = now_ns(), total = 0;
	while (go_on(begun)) {
		size_t length = read_some(stream, bytes, sizeof bytes);
		if (memcmp(bytes, pattern + total % PERIOD, length) != 0)
			fail("the stream is damaged");
		total += length;
		if (span.counting)
			span.bytes += length;
	}
}

static void take_datagrams(void)
{
	int stream = open_stream(DATAGRAM_MODE), udp = open_datagrams(stream);
	struct sockaddr_in own;
	socklen_t length = sizeof own;
	struct timeval patience = { .tv_sec = PATIENCE_S };
	if (getsockname(udp, (struct sockaddr *)&own, &length) < 0 ||
	    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
		die("set up the UDP socket");
	write_all(stream, &own.sin_port, sizeof own.sin_port);
	uint8_t datagram[DATAGRAM + 1];
	uint64_t begun = now_ns();
	while (go_on(begun)) {
		if (read_some(udp, datagram, sizeof datagram) != DATAGRAM || memcmp(datagram, pattern, DATAGRAM) != 0)
			fail("a datagram is damaged");
		if (span.counting)
			span.bytes += DATAGRAM;
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "socks", required_argument, NULL, 'x' },   { "every", required_argument, NULL, 'e' },
		{ "seconds", required_argument, NULL, 't' }, { "warmup", required_argument, NULL, 'u' },
		{ "watch", required_argument, NULL, 'p' },   { NULL, 0, NULL, 0 },
	};
	for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (name) {
		case 'x':
			options.socks = (unsigned)number_argument(optarg, 1, 65535);
			break;
		case 'e':
			options.every = number_argument(optarg, 0, 10);
			break;
		case 't':
			options.seconds = number_argument(optarg, 0.001, 3600);
			break;
		case 'u':
			options.warmup = number_argument(optarg, 0, 3600);
			break;
		case 'p':
			watch((pid_t)number_argument(optarg, 1, 1 << 22));
			break;
		default:
			usage();
		}
	}
	if (optind != argc - 3 || inet_pton(AF_INET, argv[optind + 1], &options.address.sin_addr) != 1)
		usage();
	options.address.sin_port = htons((uint16_t)number_argument(argv[optind + 2], 1, 65535));
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	make_pattern();
	const char *mode = argv[optind];
	if (strcmp(mode, "serve") == 0)
		serve();
	else if (strcmp(mode, "messages") == 0)
		exchange_messages();
	else if (strcmp(mode, "bulk") == 0)
		take_bulk();
	else if (strcmp(mode, "datagrams") == 0)
		take_datagrams();
	else
		usage();
	printf("{\"seconds\":%.6f,\"bytes\":%llu,\"watchedCpuSeconds\":%.9f,", span.seconds,
	       (unsigned long long)span.bytes, (double)span.cpu_ns / 1e9);
	print_round_trips();
	puts("}");
	return 0;
}
