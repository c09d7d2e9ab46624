/*
 * Tools of the load generators: clocks, the CPU time of other processes, and a histogram of round
 * trips.
 */
#ifndef METER_H
#define METER_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * Round trips in nanoseconds, in buckets of constant relative width: each value below 256 has its
 * own, and every power of two above has 128, so a value is exact to 0.8 %.
 */
enum { SUB_BITS = 7, SUB = 1 << SUB_BITS, BUCKETS = SUB * (64 - SUB_BITS + 1) };

static struct {
	uint64_t count, least, most;
	long double sum;
	uint64_t buckets[BUCKETS];
} round_trips = { .least = UINT64_MAX };

static inline void die(const char *doing)
{
	perror(doing);
	exit(1);
}

static inline uint64_t read_clock(clockid_t clock)
{
	struct timespec time;
	if (clock_gettime(clock, &time) < 0)
		die("clock_gettime");
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* The CPU clocks of the watched processes. */
enum { WATCHED_MAX = 64 };
static clockid_t watched_clocks[WATCHED_MAX];
static unsigned watched_count;

static inline void watch(pid_t pid)
{
	if (watched_count == WATCHED_MAX) {
		fprintf(stderr, "more than %d processes to watch\n", WATCHED_MAX);
		exit(2);
	}
	if ((errno = clock_getcpuclockid(pid, &watched_clocks[watched_count++])) != 0)
		die("clock_getcpuclockid");
}

/* CPU nanoseconds that the watched processes have used, including ended threads. */
static inline uint64_t watched_cpu_ns(void)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < watched_count; i++)
		sum += read_clock(watched_clocks[i]);
	return sum;
}

/* Parses `text` as a number within bounds. */
static inline double number_argument(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= least && value <= most)) {
		fprintf(stderr, "%s: not a number from %g to %g\n", text, least, most);
		exit(2);
	}
	return value;
}

static inline unsigned bucket_of(uint64_t value)
{
	if (value < 2 * SUB)
		return (unsigned)value;
	unsigned shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
	return (shift << SUB_BITS) + (unsigned)(value >> shift);
}

/* The middle of a bucket. */
static inline double value_of(unsigned bucket)
{
	if (bucket < 2 * SUB)
		return bucket;
	unsigned shift = (bucket >> SUB_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << SUB_BITS)) << shift;
	return (double)low + (double)(1ull << shift) / 2;
}

static inline void record_round_trip(uint64_t nanoseconds)
{
	round_trips.count++;
	round_trips.sum += nanoseconds;
	round_trips.buckets[bucket_of(nanoseconds)]++;
	if (nanoseconds < round_trips.least)
		round_trips.least = nanoseconds;
	if (nanoseconds > round_trips.most)
		round_trips.most = nanoseconds;
}

/* The round trip in microseconds that `share` of the packets did not exceed. */
static inline double percentile(double share)
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
 * The mean of the middle half in microseconds. If the scheduler makes two heaps of round trips, for
 * one core and two, the median jumps between them. This mean moves with their weights.
 */
static inline double midmean(void)
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

/* The member "roundTripMicroseconds" of an object in JSON. */
static inline void print_round_trips(void)
{
	if (round_trips.count == 0) {
		printf("\"roundTripMicroseconds\":null");
		return;
	}
	printf("\"roundTripMicroseconds\":{\"least\":%.3f,\"mean\":%.3f,\"midmean\":%.3f,"
	       "\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"most\":%.3f}",
	       (double)round_trips.least / 1000, (double)(round_trips.sum / round_trips.count) / 1000, midmean(),
	       percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
	       (double)round_trips.most / 1000);
}

#endif
