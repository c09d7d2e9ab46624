/*
 * load TARGET [--size BYTES] [--window PACKETS] [--seconds S] [--warmup S] [--watch PID]...
 *
 * Keeps `window` echo requests of `size` payload bytes on the way to TARGET (an IPv4 address), each answered one
 * replaced by the next, and prints one line of JSON. With a window of 1 that measures the round trip, with a
 * larger one the packet rate. ping does the same at several times the cost a packet, and would measure itself.
 *
 * - The clock that counts starts after `warmup` seconds and stops after `seconds` more; rate, round trips and CPU
 *   time are of that span, while lost, duplicated and damaged packets are counted from the first to the last.
 * - The CPU time is that of the --watch processes, all their threads included, read at both ends of the span.
 * - Every reply is compared byte for byte with the one that is due, checksum included.
 * - A round trip starts before the system call that sends the packet and ends after the one that receives the
 *   reply, so it holds this program's own wake-up, as it would in any application.
 */
#define _GNU_SOURCE /* sendmmsg, recvmmsg */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/icmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	ICMP_HEADER = 8,
	/* Payload bytes that hold the packet's 64-bit number; the 16 bits of ICMP come round too soon. */
	NUMBER = 8,
	/* The largest IPv4 packet less an IPv4 and an ICMP header. */
	SIZE_MAX_ICMP = 65507,
	/* The longest IPv4 header. */
	IP_HEADER_MAX = 60,
	/* Packets in one sendmmsg() or recvmmsg() call. */
	BATCH = 64,
	/* Packets that may lie between the oldest unanswered one and the next; as many as ICMP can tell apart. */
	SLOTS = 65536,
	WATCHED_MAX = 64,
};

/* A packet that has not come back after this long is lost. */
#define LOST_AFTER_NS 1000000000ull
/* How long one receive waits before the clock and the lost ones are looked at. */
#define LOOK_UP_US 20000

typedef struct {
	uint64_t number, sent_ns;
	enum { UNUSED, WAITING, ANSWERED, LOST } state;
} slot;

/*
 * Round trips in nanoseconds, in buckets of constant relative width: values below 256 have one each, and every
 * power of two above that has 128, so a value is known to 0.8 %.
 */
enum { SUB_BITS = 7, SUB = 1 << SUB_BITS, BUCKETS = SUB * (64 - SUB_BITS + 1) };

static struct {
	uint64_t count, least, most;
	long double sum;
	uint64_t buckets[BUCKETS];
} round_trips = { .least = UINT64_MAX };

static struct {
	const char *target;
	size_t size;
	unsigned window;
	double seconds, warmup;
	clockid_t watched[WATCHED_MAX];
	unsigned watched_count;
} options = { .size = 64, .window = 1, .seconds = 1, .warmup = 0 };

static slot slots[SLOTS];
static uint64_t next_number, oldest; /* every packet before `oldest` is answered or lost */
static unsigned outstanding;
static uint64_t answered, lost, late, duplicates, damaged;

/* The ICMP message as it is sent and as it is due back, without the fields that differ from packet to packet. */
static uint8_t request[BATCH][ICMP_HEADER + SIZE_MAX_ICMP];
static uint8_t reply[BATCH][IP_HEADER_MAX + ICMP_HEADER + SIZE_MAX_ICMP];
static uint64_t request_sum, reply_sum;
static uint16_t identifier;

static void die(const char *doing)
{
	perror(doing);
	exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: load TARGET [--size BYTES] [--window PACKETS] [--seconds S] [--warmup S] "
			"[--watch PID]...\n");
	exit(2);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec time;
	if (clock_gettime(clock, &time) < 0)
		die("clock_gettime");
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* CPU nanoseconds that the watched processes have used, threads that ended included. */
static uint64_t watched_cpu_ns(void)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < options.watched_count; i++)
		sum += read_clock(options.watched[i]);
	return sum;
}

static unsigned bucket_of(uint64_t value)
{
	if (value < 2 * SUB)
		return (unsigned)value;
	unsigned shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
	return (shift << SUB_BITS) + (unsigned)(value >> shift);
}

/* The middle of a bucket. */
static double value_of(unsigned bucket)
{
	if (bucket < 2 * SUB)
		return bucket;
	unsigned shift = (bucket >> SUB_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << SUB_BITS)) << shift;
	return (double)low + (double)(1ull << shift) / 2;
}

static void record_round_trip(uint64_t nanoseconds)
{
	round_trips.count++;
	round_trips.sum += nanoseconds;
	round_trips.buckets[bucket_of(nanoseconds)]++;
	if (nanoseconds < round_trips.least)
		round_trips.least = nanoseconds;
	if (nanoseconds > round_trips.most)
		round_trips.most = nanoseconds;
}

/* The round trip, in microseconds, that `share` of the packets did not exceed. */
static double percentile(double share)
{
	uint64_t seen = 0;
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += round_trips.buckets[i];
		if (seen > 0 && (double)seen >= share * (double)round_trips.count) {
			double value = value_of(i), most = (double)round_trips.most;
			return (value < most ? value : most) / 1000;
		}
	}
	return 0;
}

/*
 * The mean of the middle half, in microseconds. Where the scheduler makes two heaps of the round trips, one core
 * and two cores, the median jumps from one heap to the other; this moves with their weights.
 */
static double midmean(void)
{
	double from = (double)round_trips.count / 4, to = from * 3, seen = 0, sum = 0;
	for (unsigned i = 0; i < BUCKETS; i++) {
		double low = seen, high = seen + (double)round_trips.buckets[i];
		seen = high;
		if (low < from)
			low = from;
		if (high > to)
			high = to;
		if (high > low)
			sum += (high - low) * value_of(i);
	}
	return sum / (to - from) / 1000;
}

/* The RFC 1071 sum of 16-bit words as they lie in memory, not yet folded. */
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

/* Writes into a message the fields of packet `number`; `sum` is that of all the others. */
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

/* Whether a message is the reply to packet `number`, every byte of it. */
static bool is_reply_to(const uint8_t *message, size_t length, uint64_t number)
{
	uint8_t due[ICMP_HEADER + NUMBER] = { ICMP_ECHOREPLY };
	memcpy(due + 4, &identifier, sizeof identifier);
	number_message(due, number, reply_sum);
	return length == ICMP_HEADER + options.size && memcmp(message, due, sizeof due) == 0 &&
	       memcmp(message + sizeof due, request[0] + sizeof due, length - sizeof due) == 0;
}

static int open_socket(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	if (inet_pton(AF_INET, options.target, &address.sin_addr) != 1)
		usage();
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
	/* A connected raw socket gets what the target sends, and nothing else. */
	if (connect(raw, (struct sockaddr *)&address, sizeof address) < 0)
		die(options.target);
	return raw;
}

/* Sends what the window has room for, one batch at most. */
static void send_some(int raw)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	unsigned count = options.window - outstanding;
	if (count > BATCH)
		count = BATCH;
	/* The slot that a new packet takes must not belong to one that is still waited for. */
	if (next_number + count - oldest > SLOTS)
		count = (unsigned)(SLOTS - (next_number - oldest));
	for (unsigned i = 0; i < count; i++) {
		number_message(request[i], next_number + i, request_sum);
		parts[i] = (struct iovec){ request[i], ICMP_HEADER + options.size };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
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
	if (number >= next_number || !is_reply_to(message, length, number)) {
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

/* Waits for replies, LOOK_UP_US at most, and takes one batch of them. Returns the time after it. */
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

/* Moves `oldest` on, past what is answered and what is overdue. */
static void give_up_lost(uint64_t now)
{
	for (; oldest < next_number; oldest++) {
		slot *it = &slots[oldest % SLOTS];
		if (it->state != WAITING)
			continue;
		/* It also goes when the slots are used up: thousands of later packets have come back by then. */
		if (now - it->sent_ns < LOST_AFTER_NS && next_number - oldest < SLOTS)
			return;
		it->state = LOST;
		outstanding--;
		lost++;
	}
}

static double number_argument(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= least && value <= most))
		usage();
	return value;
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "size", required_argument, NULL, 's' },   { "window", required_argument, NULL, 'w' },
		{ "seconds", required_argument, NULL, 't' }, { "warmup", required_argument, NULL, 'u' },
		{ "watch", required_argument, NULL, 'p' },   { NULL, 0, NULL, 0 },
	};
	for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (name) {
		case 's':
			options.size = (size_t)number_argument(optarg, NUMBER, SIZE_MAX_ICMP);
			break;
		case 'w':
			options.window = (unsigned)number_argument(optarg, 1, SLOTS / 2);
			break;
		case 't':
			options.seconds = number_argument(optarg, 0.001, 3600);
			break;
		case 'u':
			options.warmup = number_argument(optarg, 0, 3600);
			break;
		case 'p':
			if (options.watched_count == WATCHED_MAX)
				usage();
			pid_t pid = (pid_t)number_argument(optarg, 1, 1 << 22);
			if ((errno = clock_getcpuclockid(pid, &options.watched[options.watched_count++])) != 0)
				die("clock_getcpuclockid");
			break;
		default:
			usage();
		}
	}
	if (optind != argc - 1)
		usage();
	options.target = argv[optind];
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
	printf("{\"target\":\"%s\",\"size\":%zu,\"window\":%u,\"sent\":%llu,\"answered\":%llu,\"lost\":%llu,"
	       "\"late\":%llu,\"duplicates\":%llu,\"damaged\":%llu,\"seconds\":%.6f,\"counted\":%llu,"
	       "\"packetsPerSecond\":%.1f,\"watchedCpuSeconds\":%.9f,\"ownCpuSeconds\":%.9f,",
	       options.target, options.size, options.window, (unsigned long long)next_number,
	       (unsigned long long)answered, (unsigned long long)lost, (unsigned long long)late,
	       (unsigned long long)duplicates, (unsigned long long)damaged, elapsed, (unsigned long long)counted,
	       (double)counted / elapsed, (double)watched / 1e9, (double)own / 1e9);
	if (counted == 0)
		printf("\"roundTripMicroseconds\":null}\n");
	else
		printf("\"roundTripMicroseconds\":{\"least\":%.3f,\"mean\":%.3f,\"midmean\":%.3f,"
		       "\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"most\":%.3f}}\n",
		       (double)round_trips.least / 1000, (double)(round_trips.sum / counted) / 1000, midmean(),
		       percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
		       (double)round_trips.most / 1000);
	return 0;
}
