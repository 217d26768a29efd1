/* Recovery must withstand any left-over files: a libFuzzer target. The input is that of remains.h; files go to the current
 * folder. */
#include <fcntl.h>
#include <sys/stat.h>

#include "core/reader.h"
#include "core/record.h"
#include "core/recover.h"
#include "fuzz.h"
#include "remains.h"

#define PATH "r.out"
#define MOST_WORDS 4096u /* of a ring that is as long as its header says */

typedef struct parts { /* of an input */
    remains_head head;
    size_t words, output, definitions; /* where they begin; they end where the next begins */
    size_t end;
} parts;

static bool split(parts *p, const uint8_t *bytes, size_t n)
{
    if (n < sizeof p->head) {
        return false;
    }
    memcpy(&p->head, bytes, sizeof p->head);
    p->words = sizeof p->head;
    size_t words = (n - p->words) / 8 < p->head.words ? (n - p->words) / 8 : p->head.words;
    p->output = p->words + words * 8;
    p->definitions = n - p->output < p->head.output ? n : p->output + p->head.output;
    p->end = n - p->definitions < p->head.definitions ? n : p->definitions + p->head.definitions;
    return true;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_begin();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static uint8_t ring[PMT_RING_HEADER + MOST_WORDS * 8];
    parts p;
    pmt_recovered out;
    pmt_ring_shared s;
    if (!split(&p, bytes, n)) {
        return 0;
    }
    size_t words = p.output - p.words;
    words = words > MOST_WORDS * 8 ? MOST_WORDS * 8 : words;
    memcpy(&s, p.head.shared, sizeof s);
    memset(ring, 0, sizeof ring);
    memcpy(ring, p.head.shared, sizeof s);
    memcpy(ring + PMT_RING_HEADER, bytes + p.words, words);
    b_save(ring, s.words <= MOST_WORDS ? PMT_RING_HEADER + s.words * 8 : PMT_RING_HEADER + words, PATH ".ring");
    b_save(bytes + p.output, p.definitions - p.output, PATH);
    b_save(bytes + p.definitions, p.end - p.definitions, PATH ".sites");
    int rc = pmt_recover(PATH, &out);
    fuzz_expect(rc <= 0, "there was something to recover");
    fuzz_expect((rc < 0) == (out.why[0] != '\0'), "an error says why");
    fuzz_expect((rc < 0) == (access(PATH ".ring", F_OK) == 0), "what was not recovered is there still");
    if (rc < 0) {
        pmt_recover(PATH, &out); /* as the user may */
    }
    if (rc == 0 && s.format == PMT_RING_CAPTURE) {
        pmt_reader r;
        pmt_item item;
        if (pmt_reader_open(&r, PATH) == 0) {
            while (pmt_reader_block(&r) > 0) {
                while (pmt_reader_item(&r, &item) != PMT_ITEM_NONE) {
                }
            }
        }
        pmt_reader_close(&r);
    }
    return 0;
}

/* --- mutations ------------------------------------------------------------------------------------------------------- */

/* Some word that may stand in a ring. */
static uint64_t some_word(void)
{
    switch (fuzz_below(8)) {
    case 0: return pmt_word(fuzz_below(PMT_ESC_COUNT + 1), fuzz_below(40));
    case 1: return pmt_word(PMT_ESC_ROW, 16 + fuzz_below(12));
    case 2: return fuzz_below(8) == 0 ? fuzz_state : (uint64_t)fuzz_below(1000) << fuzz_below(30);
    case 3: return (uint64_t)fuzz_below(1 << 20) * 4096;
    default: return pmt_word(16 + fuzz_below(12), fuzz_below(100));
    }
}

static size_t mutate_words(uint8_t *bytes, size_t n, size_t most)
{
    if (fuzz_below(3) == 0) {
        n = LLVMFuzzerMutate(bytes, n, most);
        return n / 8 * 8;
    }
    uint64_t word = some_word();
    size_t at = fuzz_below(n / 8 + 1) * 8;
    if (fuzz_below(3) == 0 && at < n) {
        memcpy(bytes + at, &word, 8);
    }
    else if (n + 8 <= most) {
        memmove(bytes + at + 8, bytes + at, n - at);
        memcpy(bytes + at, &word, 8);
        n += 8;
    }
    return n;
}

/* The header as it must be, but for a share of mistakes. */
static void settle_ring(remains_head *h, size_t words, size_t output, size_t definitions)
{
    pmt_ring_shared s;
    memcpy(&s, h->shared, sizeof s);
    if (fuzz_below(24) != 0) {
        memcpy(s.magic, PMT_RING_MAGIC, sizeof s.magic);
        s.version = 1;
        s.bytes = PMT_RING_HEADER;
        s.pid_start = 0;
    }
    if (fuzz_below(16) != 0) {
        for (s.words = 16; s.words < words / 8 && s.words < MOST_WORDS; s.words *= 2) {
        }
        s.page = fuzz_below(32) == 0 ? 1u << fuzz_below(32) : 4096;
        s.format %= 3;
        s.keep = fuzz_below(8) == 0 ? fuzz_below(100000) : 0;
    }
    pmt_checkpoint *c = &s.checkpoints[s.chosen & 1];
    if (fuzz_below(16) != 0) {
        c->tail = fuzz_below(4) == 0 ? fuzz_below(64) : 0;
        s.head = fuzz_below(4) != 0 ? words / 8 : c->tail + fuzz_below(s.words + 1);
        s.chosen &= 1;
        c->ended = fuzz_below(64) == 0;
    }
    if (fuzz_below(8) != 0) {
        c->output = (int64_t)output;
        c->definitions = (int64_t)definitions;
    }
    memcpy(h->shared, &s, sizeof s);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n, size_t most, unsigned seed)
{
    parts p;
    fuzz_seed(seed);
    if (most < sizeof p.head) {
        return LLVMFuzzerMutate(bytes, n, most);
    }
    if (n < sizeof p.head) {
        memset(bytes + n, 0, sizeof p.head - n);
        n = sizeof p.head;
    }
    split(&p, bytes, n);
    size_t begins[] = {p.words, p.output, p.definitions, p.end}, sizes[3];
    unsigned which = fuzz_below(4);
    if (which == 3) {
        LLVMFuzzerMutate((uint8_t *)p.head.shared, sizeof p.head.shared, sizeof p.head.shared);
    }
    for (unsigned i = 0; i < 3; i++) {
        sizes[i] = begins[i + 1] - begins[i];
    }
    if (which < 3) {
        size_t rest = p.end - begins[which + 1], room = most - begins[which] - rest;
        uint8_t *behind = malloc(rest + 1), *part = bytes + begins[which];
        memcpy(behind, bytes + begins[which + 1], rest);
        sizes[which] = which == 0 ? mutate_words(part, sizes[0], room) : fuzz_mutate_capture(part, sizes[which], room);
        memcpy(part + sizes[which], behind, rest);
        free(behind);
    }
    p.head.words = (uint32_t)(sizes[0] / 8);
    p.head.output = (uint32_t)sizes[1];
    p.head.definitions = (uint32_t)sizes[2];
    settle_ring(&p.head, sizes[0], sizes[1], sizes[2]);
    memcpy(bytes, &p.head, sizeof p.head);
    return sizeof p.head + sizes[0] + sizes[1] + sizes[2];
}
