/*
 * aead SIZE SECONDS
 *
 * Measures sealing and opening a packet of SIZE bytes with libcrypto called from C, in the way that
 * onion calls it: ChaCha20-Poly1305 in place, one context a key, a new nonce and four bytes of
 * additional data a packet. Prints one line of JSON: nanoseconds per operation, and the first
 * packet's tag in hex, which shows that both do the same.
 *
 * Seals a batch of packets, then opens it. Each packet has its own buffer, as large as onion's, so
 * that both use the processor's caches alike. The median batch counts, because a busy machine
 * interrupts some.
 *
 * The prototypes are here because every host that seals has the library, but not its headers.
 */
#include <stdbool.h>
#include <string.h>

#include "meter.h"

/* <openssl/evp.h> */
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct ossl_param_st OSSL_PARAM;
const EVP_CIPHER *EVP_chacha20_poly1305(void);
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
int EVP_CipherInit_ex2(EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *key, const unsigned char *iv,
		       int encrypt, const OSSL_PARAM *parameters);
int EVP_CipherUpdate(EVP_CIPHER_CTX *, unsigned char *out, int *written, const unsigned char *in, int length);
int EVP_CipherFinal_ex(EVP_CIPHER_CTX *, unsigned char *out, int *written);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *, int type, int argument, void *pointer);
enum { EVP_CTRL_AEAD_GET_TAG = 0x10, EVP_CTRL_AEAD_SET_TAG = 0x11 };

enum { KEY = 32, NONCE = 12, TAG = 16, COUNTER_AT = 4 };
/* As in src/buffer/packet_buffer.ts. */
enum { HEADROOM = 128, CAPACITY = HEADROOM + 65535 };
/* As in bench/aead.ts. */
enum { BATCH = 16 };
/* Batches that are stored. */
enum { BATCHES_MAX = 1 << 20 };

static const unsigned char additional[] = { 0x61, 0, 0, 0 };
static unsigned char (*packets)[CAPACITY];
static int size;

/* Nanoseconds of each batch. */
static uint64_t sealing[BATCHES_MAX], opening[BATCHES_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "error: %s\n", what);
	exit(1);
}

static void check(bool done, const char *what)
{
	if (!done)
		fail(what);
}

/* The byte at `at` of what both sides know: the key and the packets. */
static unsigned char pattern(unsigned at)
{
	return (unsigned char)(at * 31 + (at >> 8) * 7);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* Nanoseconds of one operation in the median batch. */
static double median(uint64_t *batches, size_t count)
{
	qsort(batches, count, sizeof *batches, compare);
	return (double)batches[count / 2] / BATCH;
}

static EVP_CIPHER_CTX *make_context(void)
{
	unsigned char key[KEY];
	for (unsigned at = 0; at < KEY; at++)
		key[at] = pattern(at);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	check(context && EVP_CipherInit_ex2(context, EVP_chacha20_poly1305(), key, NULL, 1, NULL) == 1,
	      "EVP_CipherInit_ex2");
	return context;
}

static void begin(EVP_CIPHER_CTX *context, uint64_t counter, int encrypt)
{
	unsigned char nonce[NONCE] = { 0 };
	int written;
	memcpy(nonce + COUNTER_AT, &counter, sizeof counter); /* little-endian, as this machine is */
	check(EVP_CipherInit_ex2(context, NULL, NULL, nonce, encrypt, NULL) == 1, "EVP_CipherInit_ex2");
	check(EVP_CipherUpdate(context, NULL, &written, additional, sizeof additional) == 1, "EVP_CipherUpdate");
}

static void seal_packet(EVP_CIPHER_CTX *context, unsigned char *bytes, uint64_t counter)
{
	unsigned char none[TAG];
	int written;
	begin(context, counter, 1);
	check(EVP_CipherUpdate(context, bytes, &written, bytes, size) == 1, "EVP_CipherUpdate");
	check(EVP_CipherFinal_ex(context, none, &written) == 1, "EVP_CipherFinal_ex");
	check(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, bytes + size) == 1, "EVP_CIPHER_CTX_ctrl");
}

static void open_packet(EVP_CIPHER_CTX *context, unsigned char *bytes, uint64_t counter)
{
	unsigned char none[TAG];
	int written;
	begin(context, counter, 0);
	check(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, bytes + size) == 1, "EVP_CIPHER_CTX_ctrl");
	check(EVP_CipherUpdate(context, bytes, &written, bytes, size) == 1, "EVP_CipherUpdate");
	check(EVP_CipherFinal_ex(context, none, &written) == 1, "a packet was forged");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: aead SIZE SECONDS\n");
		return 2;
	}
	size = (int)number_argument(argv[1], 1, CAPACITY - HEADROOM - TAG);
	double seconds = number_argument(argv[2], 0.001, 60);
	packets = calloc(BATCH, sizeof *packets);
	check(packets != NULL, "no memory");
	for (unsigned packet = 0; packet < BATCH; packet++)
		for (unsigned at = 0; at < (unsigned)size; at++)
			packets[packet][HEADROOM + at] = pattern(at);

	/* A key for each direction with the same bytes: onion's two ends have a context each. */
	EVP_CIPHER_CTX *sealer = make_context(), *opener = make_context();
	unsigned char first_tag[TAG];
	uint64_t counter = 0, start = now_ns();
	size_t batches = 0;
	while (batches < BATCHES_MAX && (double)(now_ns() - start) < seconds * 1e9) {
		uint64_t before = now_ns();
		for (unsigned packet = 0; packet < BATCH; packet++)
			seal_packet(sealer, packets[packet] + HEADROOM, counter + packet);
		sealing[batches] = now_ns() - before;
		if (counter == 0)
			memcpy(first_tag, packets[0] + HEADROOM + size, TAG);
		before = now_ns();
		for (unsigned packet = 0; packet < BATCH; packet++)
			open_packet(opener, packets[packet] + HEADROOM, counter + packet);
		opening[batches++] = now_ns() - before;
		counter += BATCH;
	}
	for (unsigned at = 0; at < (unsigned)size; at++)
		check(packets[0][HEADROOM + at] == pattern(at), "a packet came out otherwise than it went in");

	printf("{\"seal\":%.2f,\"open\":%.2f,\"tag\":\"", median(sealing, batches), median(opening, batches));
	for (unsigned at = 0; at < TAG; at++)
		printf("%02x", first_tag[at]);
	puts("\"}");
	return 0;
}
