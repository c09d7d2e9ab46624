/*
 * load TARGET [--flows N] [--size BYTES] [--window PACKETS] [--pause MS] [--seconds S] [--warmup S] [--watch PID]...
 *
 * Keeps `window` echo requests of `size` payload bytes in flight to TARGET (an IPv4 address) and
 * the `flows` - 1 addresses after it, in turn. Each reply starts the next request. Prints one line
 * of JSON. A window of 1 measures the round trip, a larger one the packet rate. ping would measure
 * itself, because it costs several times as much a packet.
 *
 * - Measurement starts after `warmup` seconds and lasts `seconds`. Rate, round trips and CPU time
 *   are of that span. Lost, duplicated and damaged packets are counted from first to last.
 * - The CPU time is that of the --watch processes with all threads, read at both ends of the span.
 * - Every reply is compared byte for byte with the right one, including the checksum.
 * - A round trip starts before the system call that sends the packet and ends after the one that
 *   receives the reply. So it includes this program's own wake-up, as in any application.
 * - With a pause, it sleeps while nothing is in flight, for `pause` ms on average, at random from
 *   half of that to one and a half times as long. So the next packet cannot be predicted.
 */
#define _GNU_SOURCE /* sendmmsg, recvmmsg */
#include <arpa/inet.h>
#include <getopt.h>
#include <linux/icmp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "meter.h"

enum {
	ICMP_HEADER = 8,
	/* Payload bytes that hold the packet's 64-bit number; the 16 bits of ICMP repeat too soon. */
	NUMBER = 8,
	/* The largest IPv4 packet without an IPv4 and an ICMP header. */
	SIZE_MAX_ICMP = 65507,
	/* The longest IPv4 header. */
	IP_HEADER_MAX = 60,
	/* Packets in one sendmmsg() or recvmmsg() call. */
	BATCH = 64,
	/*
	 * Max packets between the oldest unanswered one and the next; as many as ICMP can distinguish.
	 */
	SLOTS = 65536,
};

/* A packet without a reply for this long is lost. */
#define LOST_AFTER_NS 1000000000ull
/* Max wait of a receive before the clock and lost packets are checked. */
#define LOOK_UP_US 20000

typedef struct {
	uint64_t number, sent_ns;
	enum { UNUSED, WAITING, ANSWERED, LOST } state;
} slot;

static struct {
	const char *target;
	unsigned flows;
	size_t size;
	unsigned window;
	double pause, seconds, warmup;
} options = { .flows = 1, .size = 64, .window = 1, .seconds = 1, .warmup = 0 };

static slot slots[SLOTS];
static uint64_t next_number, oldest; /* every packet before `oldest` is answered or lost */
static unsigned outstanding;
static uint64_t answered, lost, late, duplicates, damaged;

/* The ICMP message as sent and as expected back, without the fields that differ between packets. */
static uint8_t request[BATCH][ICMP_HEADER + SIZE_MAX_ICMP];
static uint8_t reply[BATCH][IP_HEADER_MAX + ICMP_HEADER + SIZE_MAX_ICMP];
static uint64_t request_sum, reply_sum;
static uint16_t identifier;
static struct in_addr first; /* destination */

static void usage(void)
{
	fprintf(stderr, "usage: load TARGET [--flows N] [--size BYTES] [--window PACKETS] [--pause MS] "
			"[--seconds S] [--warmup S] [--watch PID]...\n");
	exit(2);
}

/* The RFC 1071 sum of 16-bit words in memory order, not folded yet. */
static uint64_t sum_words(const uint8_t *bytes, size_t length)
{
	uint64_t sum = 0;
	for (size_t at = 0; at < length; at += 2) {
		uint8_t pair[2] = { bytes[at], at + 1 < length ? bytes[at + 1] : 0 };
		uint16_t word;
		memcpy(&word, pair, sizeof word);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Writes the fields of packet `number` into a message; `sum` is that of all other fields. */
static void number_message(uint8_t *message, uint64_t number, uint64_t sum)
{
	uint16_t sequence = htons((uint16_t)number);
	memcpy(message + 6, &sequence, sizeof sequence);
	memcpy(message + ICMP_HEADER, &number, sizeof number);
	uint16_t check = fold(sum + sum_words(message + 6, sizeof sequence + sizeof number));
	memcpy(message + 2, &check, sizeof check);
}

static void prepare_messages(void)
{
	if (getrandom(&identifier, sizeof identifier, 0) != sizeof identifier)
		die("getrandom");
	srand48(identifier);
	for (size_t i = 0; i < BATCH; i++) {
		uint8_t *message = request[i];
		message[0] = ICMP_ECHO;
		memcpy(message + 4, &identifier, sizeof identifier);
		for (size_t at = NUMBER; at < options.size; at++)
			message[ICMP_HEADER + at] = (uint8_t)(at * 151 + 7);
	}
	request_sum = sum_words(request[0], ICMP_HEADER + options.size);
	request[0][0] = ICMP_ECHOREPLY;
	reply_sum = sum_words(request[0], ICMP_HEADER + options.size);
	request[0][0] = ICMP_ECHO;
}

/* Whether every byte of a message is that of the reply to packet `number`. */
static bool is_reply_to(const uint8_t *message, size_t length, uint64_t number)
{
	uint8_t due[ICMP_HEADER + NUMBER] = { ICMP_ECHOREPLY };
	memcpy(due + 4, &identifier, sizeof identifier);
	number_message(due, number, reply_sum);
	return length == ICMP_HEADER + options.size && memcmp(message, due, sizeof due) == 0 &&
	       memcmp(message + sizeof due, request[0] + sizeof due, length - sizeof due) == 0;
}

/* The address that packet `number` goes to. */
static struct sockaddr_in destination_of(uint64_t number)
{
	uint32_t flow = (uint32_t)(number % options.flows);
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(ntohl(first.s_addr) + flow) };
}

/* Binds a socket to the address that the kernel would choose for packets to the target. */
static void bind_source(int raw)
{
	struct sockaddr_in target = destination_of(0), source;
	target.sin_port = htons(9); /* nothing is sent */
	socklen_t length = sizeof source;
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (udp < 0 || connect(udp, (struct sockaddr *)&target, sizeof target) < 0 ||
	    getsockname(udp, (struct sockaddr *)&source, &length) < 0)
		die(options.target);
	close(udp);
	source.sin_port = 0;
	if (bind(raw, (struct sockaddr *)&source, sizeof source) < 0)
		die("bind");
}

static int open_socket(void)
{
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (raw < 0)
		die("raw ICMP socket");
	struct icmp_filter filter = { .data = ~(1u << ICMP_ECHOREPLY) };
	int bytes = 16 << 20;
	struct timeval patience = { .tv_usec = LOOK_UP_US };
	if (setsockopt(raw, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) < 0 ||
	    setsockopt(raw, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0 ||
	    setsockopt(raw, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
	    setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
		die("setsockopt");
	/* A router on this host gets replies for other addresses. A bound socket does not see them. */
	bind_source(raw);
	return raw;
}

/* Sleeps for a random time. */
static void pause_a_while(void)
{
	double seconds = options.pause * (0.5 + drand48()) / 1000;
	struct timespec time = { .tv_sec = (time_t)seconds };
	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	nanosleep(&time, NULL);
}

/* Sends what the window has room for, at most one batch. */
static void send_some(int raw)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	static struct sockaddr_in destinations[BATCH];
	unsigned count = options.window - outstanding;
	if (count > BATCH)
		count = BATCH;
	/* The slot of a new packet must not belong to one without a reply. */
	if (next_number + count - oldest > SLOTS)
		count = (unsigned)(SLOTS - (next_number - oldest));
	for (unsigned i = 0; i < count; i++) {
		number_message(request[i], next_number + i, request_sum);
		parts[i] = (struct iovec){ request[i], ICMP_HEADER + options.size };
		destinations[i] = destination_of(next_number + i);
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &destinations[i],
			.msg_namelen = sizeof destinations[i],
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
	}
	if (count == 0)
		return;
	uint64_t now = now_ns();
	int sent = sendmmsg(raw, messages, count, 0);
	if (sent < 0) {
		if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
			return;
		die("sendmmsg");
	}
	for (int i = 0; i < sent; i++, next_number++, outstanding++)
		slots[next_number % SLOTS] = (slot){ next_number, now, WAITING };
}

static void take_reply(const uint8_t *bytes, size_t length, uint64_t now, bool counting)
{
	size_t header = length > 0 ? (size_t)(bytes[0] & 15) * 4 : 0;
	if (length < header + ICMP_HEADER)
		return;
	const uint8_t *message = bytes + header;
	length -= header;
	if (memcmp(message + 4, &identifier, sizeof identifier) != 0)
		return; /* ping's, or an earlier run's */

	uint64_t number = UINT64_MAX;
	if (length >= ICMP_HEADER + NUMBER)
		memcpy(&number, message + ICMP_HEADER, sizeof number);
	struct in_addr source = destination_of(number).sin_addr;
	if (number >= next_number || memcmp(bytes + 12, &source, sizeof source) != 0 ||
	    !is_reply_to(message, length, number)) {
		damaged++;
		return;
	}
	slot *mine = &slots[number % SLOTS];
	if (mine->number != number || mine->state == LOST) {
		late++;
		return;
	}
	if (mine->state == ANSWERED) {
		duplicates++;
		return;
	}
	mine->state = ANSWERED;
	outstanding--;
	answered++;
	if (counting)
		record_round_trip(now - mine->sent_ns);
}

/* Waits for replies, at most LOOK_UP_US, and receives one batch. Returns the time after it. */
static uint64_t receive_some(int raw, bool counting)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	for (unsigned i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ reply[i], sizeof reply[i] };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	int count = recvmmsg(raw, messages, BATCH, MSG_WAITFORONE, NULL);
	if (count < 0 && errno != EAGAIN && errno != EINTR)
		die("recvmmsg");
	uint64_t now = now_ns();
	for (int i = 0; i < count; i++)
		take_reply(reply[i], messages[i].msg_len, now, counting);
	return now;
}

/* Moves `oldest` past answered and overdue packets. */
static void give_up_lost(uint64_t now)
{
	for (; oldest < next_number; oldest++) {
		slot *it = &slots[oldest % SLOTS];
		if (it->state != WAITING)
			continue;
		/*
		 * It also moves when the slots are used up, because thousands of later packets have returned by
		 * then.
		 */
		if (now - it->sent_ns < LOST_AFTER_NS && next_number - oldest < SLOTS)
			return;
		it->state = LOST;
		outstanding--;
		lost++;
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "flows", required_argument, NULL, 'f' },   { "size", required_argument, NULL, 's' },
		{ "window", required_argument, NULL, 'w' },  { "pause", required_argument, NULL, 'i' },
		{ "seconds", required_argument, NULL, 't' }, { "warmup", required_argument, NULL, 'u' },
		{ "watch", required_argument, NULL, 'p' },   { NULL, 0, NULL, 0 },
	};
	for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (name) {
		case 'f':
			options.flows = (unsigned)number_argument(optarg, 1, SLOTS);
			break;
		case 's':
			options.size = (size_t)number_argument(optarg, NUMBER, SIZE_MAX_ICMP);
			break;
		case 'w':
			options.window = (unsigned)number_argument(optarg, 1, SLOTS / 2);
			break;
		case 'i':
			options.pause = number_argument(optarg, 0, 60000);
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
	if (optind != argc - 1)
		usage();
	options.target = argv[optind];
	if (inet_pton(AF_INET, options.target, &first) != 1)
		usage();
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	prepare_messages();
	int raw = open_socket();

	uint64_t now = now_ns();
	uint64_t span_starts = now + (uint64_t)(options.warmup * 1e9);
	uint64_t span_ns = (uint64_t)(options.seconds * 1e9);
	uint64_t watched = 0, own = 0;
	bool counting = false;
	for (;;) {
		if (!counting && now >= span_starts) {
			counting = true;
			watched = watched_cpu_ns();
			own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
			now = span_starts = now_ns();
		}
		if (counting && now - span_starts >= span_ns)
			break;
		if (options.pause > 0 && outstanding == 0)
			pause_a_while();
		send_some(raw);
		now = receive_some(raw, counting);
		give_up_lost(now);
	}
	double elapsed = (double)(now - span_starts) / 1e9;
	watched = watched_cpu_ns() - watched;
	own = read_clock(CLOCK_PROCESS_CPUTIME_ID) - own;
	while (outstanding > 0)
		give_up_lost(receive_some(raw, false));

	uint64_t counted = round_trips.count;
	printf("{\"target\":\"%s\",\"flows\":%u,\"size\":%zu,\"window\":%u,\"sent\":%llu,\"answered\":%llu,\"lost\":%llu,"
	       "\"late\":%llu,\"duplicates\":%llu,\"damaged\":%llu,\"seconds\":%.6f,\"counted\":%llu,"
	       "\"packetsPerSecond\":%.1f,\"watchedCpuSeconds\":%.9f,\"ownCpuSeconds\":%.9f,",
	       options.target, options.flows, options.size, options.window, (unsigned long long)next_number,
	       (unsigned long long)answered, (unsigned long long)lost, (unsigned long long)late,
	       (unsigned long long)duplicates, (unsigned long long)damaged, elapsed, (unsigned long long)counted,
	       (double)counted / elapsed, (double)watched / 1e9, (double)own / 1e9);
	print_round_trips();
	puts("}");
	return 0;
}
