/* DESIGN: eight tables, eight bytes a step (slice-by-8): about four times as fast as byte by byte. The tables are 8 KiB
 * of memory that is written once, by whoever comes first.
 * Where the processor multiplies polynomials (PCLMULQDQ), 64 bytes a step: four registers of 128 bits, each moved on over
 * the bytes of the others by multiplication with a power of x. What is left has 16 bytes with the same remainder as all
 * that went in, and the tables take those. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/capture.h"

#define POLYNOMIAL 0xEDB88320u /* reflected */

#if defined(__x86_64__)
#define FOLDS 1
#include <immintrin.h>
static bool can_fold; /* written once, with the tables */
#endif

static uint32_t table[8][256];
static pthread_once_t built = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) {
            c = c >> 1 ^ (c & 1 ? POLYNOMIAL : 0);
        }
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) {
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xFF];
        }
    }
#ifdef FOLDS
    __builtin_cpu_init();
    can_fold = __builtin_cpu_supports("pclmul") != 0;
#endif
}

static uint32_t by_tables(uint32_t c, const uint8_t *p, uint64_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8); /* little-endian, like all machines that we build on */
        word ^= c;
        c = table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^
            table[4][word >> 24 & 0xFF] ^ table[3][word >> 32 & 0xFF] ^ table[2][word >> 40 & 0xFF] ^
            table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
    }
    for (; n > 0; n--, p++) {
        c = c >> 8 ^ table[0][(c ^ *p) & 0xFF];
    }
    return c;
}

#ifdef FOLDS
/* x^(distance + 32) and x^(distance - 32) modulo the polynomial, reflected: over 512 and over 128 bits. */
#define OVER_64_BYTES _mm_set_epi64x(0x1C6E41596, 0x154442BD4)
#define OVER_16_BYTES _mm_set_epi64x(0x0CCAA009E, 0x1751997D0)

__attribute__((target("pclmul"))) static inline __m128i fold(__m128i what, __m128i over, __m128i onto)
{
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(what, over, 0x00), _mm_clmulepi64_si128(what, over, 0x11)), onto);
}

/* At least 64 bytes; *p and *n are moved to what is left: less than 64. */
__attribute__((target("pclmul"))) static uint32_t by_folding(uint32_t c, const uint8_t **p, uint64_t *n)
{
    const __m128i *from = (const __m128i *)*p;
    __m128i part[4];
    uint8_t rest[16];
    for (int i = 0; i < 4; i++) {
        part[i] = _mm_loadu_si128(from + i);
    }
    part[0] = _mm_xor_si128(part[0], _mm_cvtsi32_si128((int)c));
    for (from += 4, *n -= 64; *n >= 64; from += 4, *n -= 64) {
        for (int i = 0; i < 4; i++) {
            part[i] = fold(part[i], OVER_64_BYTES, _mm_loadu_si128(from + i));
        }
    }
    for (int i = 1; i < 4; i++) {
        part[i] = fold(part[i - 1], OVER_16_BYTES, part[i]);
    }
    _mm_storeu_si128((__m128i *)rest, part[3]);
    *p = (const uint8_t *)from;
    return by_tables(0, rest, sizeof rest);
}
#endif

uint32_t pmt_crc32(uint32_t crc, const void *bytes, uint64_t n)
{
    const uint8_t *p = bytes;
    uint32_t c = ~crc;
    pthread_once(&built, build);
#ifdef FOLDS
    if (can_fold && n >= 64) {
        c = by_folding(c, &p, &n);
    }
#endif
    return ~by_tables(c, p, n);
}
