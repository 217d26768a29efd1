/* tests/fuzz/fuzz.h - what the fuzz targets share: mutations that keep the form of a capture, and an end by CPU time.
 *
 * Mutating bytes alone would stop at the first CRC. Here a block's payload grows or shrinks and its header follows: length,
 * number of events, order, CRC; each with a share left wrong. */
#ifndef PMT_FUZZ_H
#define PMT_FUZZ_H

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "capture_builder.h"
#include "core/bytes.h"
#include "core/capture.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t n, size_t most); /* libFuzzer's */
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n, size_t most, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define FUZZ_BLOCKS 256

static uint64_t fuzz_state = 1;

static inline uint32_t fuzz_below(size_t n)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return n == 0 ? 0 : (uint32_t)((fuzz_state >> 16) % n);
}

static inline void fuzz_seed(unsigned seed)
{
    fuzz_state = ((uint64_t)seed << 20 | 1) * 0x9E3779B97F4A7C15u;
}

static inline void fuzz_expect(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static inline void fuzz_out_of_time(int number)
{
    (void)number;
    raise(SIGUSR1); /* libFuzzer ends after this input, with status 0 */
}

static inline void fuzz_begin(void) /* libFuzzer itself knows wall time only */
{
    const char *seconds = getenv("FUZZ_CPU_SECONDS");
    struct itimerval timer = {.it_value.tv_sec = seconds == NULL ? 0 : atol(seconds)};
    signal(SIGPROF, fuzz_out_of_time);
    setitimer(ITIMER_PROF, &timer, NULL);
}

/* --- captures -------------------------------------------------------------------------------------------------------- */

static inline uint32_t fuzz_count_events(const uint8_t *payload, size_t n)
{
    pmt_bytes b = {payload, payload + n, false};
    uint32_t events = 0;
    while (b.at < b.end && !b.bad) {
        unsigned first = pmt_get_byte(&b);
        if (first >> 2 == PMT_TIME_BYTE) {
            pmt_get_byte(&b);
        }
        else if (first >> 2 == PMT_TIME_VARINT) {
            pmt_get_varint(&b);
        }
        uint64_t site = first & 1 ? pmt_get_varint(&b) : 16;
        size_t len;
        switch (site < 16 ? site : 16) {
        case 5: pmt_get_varint(&b); /* fall through */
        case 7: pmt_get_varint(&b); /* fall through */
        case 3: case 6: pmt_get_varint(&b); break;
        case 8: pmt_get_string(&b, n, &len); break;
        case 16:
            if (first & 2) {
                pmt_get_varint(&b);
            }
            events += !b.bad;
            break;
        default: return events;
        }
        if (site == 5) {
            pmt_get_varint(&b);
        }
    }
    return events;
}

/* Offset of the block after the one at `at`; 0: there is no whole one. */
static inline size_t fuzz_after(const uint8_t *bytes, size_t n, size_t at)
{
    if (n < 88 || at > n - 88 || memcmp(bytes + at, "PMTB", 4) != 0 || pmt_load_u32(bytes + at + 8) > n - 88 - at) {
        return 0;
    }
    return at + 88 + pmt_load_u32(bytes + at + 8);
}

static inline void fuzz_raise(uint8_t *field, uint64_t least)
{
    if (pmt_load_u64(field) < least) {
        pmt_store_u64(field, least);
    }
}

/* Numbers of events, order of blocks and CRCs made right from the block at `at` on: each of them nearly always. */
static inline void fuzz_settle(uint8_t *bytes, size_t n, size_t at)
{
    uint64_t event = 0, ring = 0, clock = 0;
    for (size_t next; (next = fuzz_after(bytes, n, at)) != 0; at = next) {
        uint8_t *h = bytes + at;
        if (pmt_load_u32(h + 4) == B_EVENTS) {
            if (fuzz_below(16) != 0) {
                pmt_store_u32(h + 40, fuzz_count_events(h + 88, next - at - 88));
            }
            if (fuzz_below(16) != 0) {
                fuzz_raise(h + 16, ring);
                fuzz_raise(h + 24, pmt_load_u64(h + 16));
                fuzz_raise(h + 32, event);
                fuzz_raise(h + 48, clock);
            }
            ring = pmt_load_u64(h + 24);
            event = pmt_load_u64(h + 32) + pmt_load_u32(h + 40);
            clock = pmt_load_u64(h + 48);
        }
        if (fuzz_below(24) != 0) {
            b_fix_crc(bytes, n, at);
        }
    }
}

/* One change of a capture of n bytes that may become `most` long: its new length. */
static inline size_t fuzz_mutate_capture(uint8_t *bytes, size_t n, size_t most)
{
    size_t at[FUZZ_BLOCKS], count = 0;
    for (size_t next, offset = 16; count < FUZZ_BLOCKS && (next = fuzz_after(bytes, n, offset)) != 0; offset = next) {
        at[count++] = offset;
    }
    unsigned how = fuzz_below(16);
    if (count == 0 || how == 0) {
        n = LLVMFuzzerMutate(bytes, n, most);
        fuzz_settle(bytes, n, 16);
        return n;
    }
    size_t from = at[fuzz_below(count)], to = fuzz_after(bytes, n, from), len = to - from, rest = n - to;
    if (how == 1) { /* a header's fields */
        LLVMFuzzerMutate(bytes + from + 16, 72, 72);
        pmt_store_u32(bytes + from + 4, fuzz_below(8) == 0 ? fuzz_below(8) : pmt_load_u32(bytes + from + 4));
    }
    else if (how == 2 && n + len <= most) { /* a block twice */
        memmove(bytes + to + len, bytes + to, rest);
        memcpy(bytes + to, bytes + from, len);
        n += len;
    }
    else if (how == 3) { /* a block less */
        memmove(bytes + from, bytes + to, rest);
        n -= len;
    }
    else {
        uint8_t *behind = malloc(rest + 1);
        memcpy(behind, bytes + to, rest);
        size_t room = most - rest - from - 88, payload = LLVMFuzzerMutate(bytes + from + 88, len - 88, room);
        memcpy(bytes + from + 88 + payload, behind, rest);
        free(behind);
        pmt_store_u32(bytes + from + 8, (uint32_t)payload);
        n = from + 88 + payload + rest;
    }
    fuzz_settle(bytes, n, 16);
    return n;
}

#endif
