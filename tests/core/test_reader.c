/* Captures read back: what a small one holds, what is wrong with wrong ones, and no byte of one that can crash. */
#include <errno.h>
#include <math.h>

#include "capture_dump.h"
#include "core/convert.h"
#include "core/recover.h"

static builder b; /* 256 KiB: not on the stack */

/* A capture with everything in it: two blocks of events, all items, all lengths of times. */
static void small(builder *to)
{
    b_start(to, 4096, 1000, 40960);
    definitions(to);
    b_begin(to, B_EVENTS);
    b_event(to, 0, 16, 0);
    b_event(to, 61, 17, 3);
    b_event(to, 62, 18, 0);
    b_event(to, 317, 19, -2);
    b_message(to, "two\nlines");
    b_event(to, 318, 18, 1000);
    b_event(to, 5, 19, 0);
    b_peak(to, 22, 123456);
    b_event(to, 1, 18, 0);
    b_finish(to);
    b_begin(to, 77);
    b_bytes(to, "of the future", 13);
    b_finish(to);
    b_begin(to, B_DEFINITIONS);
    b_code(to, 2, 30, "b.py", "again");
    b_site(to, 17, 2, B_CALL, 31, "");
    b_finish(to);
    b_begin(to, B_EVENTS);
    b_event(to, 1, 17, 0);
    b_tracer(to, 8192);
    b_event(to, 1, 18, 2);
    b_nested(to, true, 1);
    b_nested(to, false, -1);
    b_switch(to, 7);
    b_event(to, UINT64_C(1) << 40, 23, 0);
    b_event(to, 4, 20, 0);
    b_finish(to);
    b_begin(to, B_TOTALS);
    b_string(to, "a.py");
    b_finish(to);
    b_text(to, B_END, "# end\n");
}

static const char SMALL[] =
    "0 1000 40960 @0 0 a.py#10 main -\n"
    "1 1061 53248 @0 0 a.py#20 work -\n"
    "2 1123 53248 @0 2 a.py#21 work len\n"
    "3 1440 45056 @0 3 a.py#21 work len\n"
    "4 1440 45056 @0 text two\nlines\n"
    "4 1758 4141056 @0 2 a.py#21 work len\n"
    "5 1763 4141056 @0 3 a.py#21 work len\n"
    "6 1763 4141056 @0 item 2 22 123456 6\n"
    "6 1764 4141056 @0 2 a.py#21 work len\n"
    "7 1765 4141056 @0 0 b.py#31 again -\n"
    "8 1765 4141056 @0 item 3 0 8192 0\n"
    "8 1766 4149248 @0 2 b.py#21 again len\n"
    "9 1766 4153344 @0 item 4 0 1 0\n"
    "9 1766 4149248 @0 item 4 0 0 0\n"
    "9 1099511629542 4149248 @7 4 b.py#-1 again open\n"
    "10 1099511629546 4149248 @7 1 b.py#22 again -\n";

static void reads_all(void)
{
    pmt_reader r;
    small(&b);
    b_save(b.bytes, b.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(r.page, 4096);
    CHECK_INT(r.process_start_ns, 500);
    CHECK_INT(r.first.clock, 1000);
    CHECK_INT(r.first.ns, 26000);
    CHECK_BYTES(r.text, r.text_len, "# format: 1\nEvent ...\n", 22);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(dump(&r), 11);
        CHECK_BYTES(text, text_len, SMALL, sizeof SMALL - 1);
        CHECK(r.complete);
        CHECK_BYTES(r.why, strlen(r.why), "", 0);
        CHECK_BYTES(r.end_text, r.end_len, "# end\n", 6);
        CHECK_INT(pmt_reader_block(&r), 0);
        CHECK_INT(pmt_dictionary_thread(&r.dictionary, 0)->tid, 4711);
        CHECK_INT(pmt_dictionary_thread(&r.dictionary, 7)->len, 0);
        CHECK(pmt_dictionary_thread(&r.dictionary, 1) == NULL);
        CHECK(pmt_dictionary_thread(&r.dictionary, UINT32_MAX) == NULL);
        CHECK(!pmt_dictionary_has_site(&r.dictionary, 22) && !pmt_dictionary_has_site(&r.dictionary, 24) &&
              !pmt_dictionary_has_site(&r.dictionary, 15) && pmt_dictionary_has_site(&r.dictionary, 23));
        CHECK_INT(r.dictionary.function_count, 6); /* main, work, len, open, again: the same ones each time */
        CHECK_INT(pmt_reader_rewind(&r), 0);
    }
    pmt_reader_close(&r);
    b_free(&b);
}

static void crc(void)
{
    uint8_t bytes[300];
    CHECK_INT(pmt_crc32(0, "123456789", 9), 0xCBF43926);
    CHECK_INT(pmt_crc32(0, "", 0), 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    int bad = 0;
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t k = n * 7 % (n + 1);
        bad += pmt_crc32(0, bytes, n) != b_crc(bytes, n);
        bad += pmt_crc32(pmt_crc32(0, bytes, k), bytes + k, n - k) != b_crc(bytes, n);
    }
    CHECK_INT(bad, 0);
    static uint8_t long_one[70000]; /* in steps of 64 bytes, where the processor can */
    for (size_t i = 0; i < sizeof long_one; i++) {
        long_one[i] = (uint8_t)(i * i >> 3 ^ i * 91);
    }
    for (size_t from = 0; from < 20; from++) {
        for (size_t n = 300; n <= sizeof long_one - from; n = n * 5 / 3 + from) {
            uint32_t begun = b_crc(long_one, 77 + from);
            bad += pmt_crc32(0, long_one + from, n) != b_crc(long_one + from, n);
            bad += pmt_crc32(begun, long_one + 77 + from, n - 77 - from) != b_crc(long_one, n);
        }
    }
    CHECK_INT(bad, 0);
}

static void truncated_anywhere(void)
{
    int bad = 0, rc;
    uint64_t events, most = 0;
    small(&b);
    for (size_t n = 0; n < b.n; n++) {
        const char *why = verdict(b.bytes, n, &rc, &events);
        bad += why[0] == '\0' || strstr(why, "complete") == why;
        bad += rc == 0 && (text_len > sizeof SMALL || memcmp(text, SMALL, text_len) != 0);
        bad += events < most;
        most = events;
        if (bad != 0) {
            fprintf(stderr, "    cut at %zu: %s\n", n, why);
            break;
        }
    }
    CHECK_INT(bad, 0);
    CHECK_INT(most, 11);
    b_free(&b);
}

/* A changed byte is found, and what is read before it is right; with a CRC made right again nothing crashes. */
static void every_byte_changed(void)
{
    int bad = 0, harmless = 0, rc;
    uint64_t events;
    small(&b);
    for (size_t i = 0; i < b.n && bad == 0; i++) {
        for (int bit = (int)(i % 2); bit < 8; bit += 2) { /* half of them, to be quick */
            b.bytes[i] ^= (uint8_t)(1 << bit);
            const char *why = verdict(b.bytes, b.n, &rc, &events);
            harmless += strcmp(why, "complete") == 0;
            bad += why[0] == '\0' || (rc == 0 && memcmp(text, SMALL, text_len) != 0 && i >= 16);
            if (bad != 0) {
                fprintf(stderr, "    byte %zu bit %d: %s\n", i, bit, why);
            }
            if (i >= 16) {
                size_t at = 16, next = 16; /* the block that it is in */
                while (next <= i && next + 88 <= b.n) {
                    at = next;
                    next += 88 + pmt_load_u32(b.bytes + next + 8);
                }
                uint8_t crc_was[4];
                memcpy(crc_was, b.bytes + at + 12, 4);
                if (b_fix_crc(b.bytes, b.n, at)) {
                    bad += verdict(b.bytes, b.n, &rc, &events)[0] == '\0';
                }
                memcpy(b.bytes + at + 12, crc_was, 4);
            }
            b.bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    CHECK_INT(bad, 0);
    CHECK(harmless <= 20); /* the page size, if it still can be */
    b_free(&b);
}

static void says(const char *want, int rc_want, const char *file, int line)
{
    int rc;
    uint64_t events;
    const char *why = verdict(b.bytes, b.n, &rc, &events);
    check_one(rc == rc_want && strstr(why, want) != NULL, file, line, want);
    if (rc != rc_want || strstr(why, want) == NULL) {
        fprintf(stderr, "    got  %d, %s\n", rc, why);
    }
    b_free(&b);
    b.n = b.room = 0;
}

#define SAYS(want, rc) says((want), (rc), __FILE__, __LINE__)

static void no_captures(void)
{
    pmt_reader r;
    memset(&b, 0, sizeof b);
    SAYS("is no capture: it is empty", -EBADMSG);
    b_bytes(&b, "# a text log\n and more of it", 28);
    SAYS("is no capture: it does not begin with 89 50", -EBADMSG);
    b_bytes(&b, "\x89PMT\r\n", 6);
    SAYS("is cut at offset 6", -EBADMSG);
    b_file(&b, 4096);
    SAYS("is cut at offset 16, within its first block", -EBADMSG);
    small(&b);
    b.bytes[8] = 3;
    SAYS("is of version 3; this program reads version 1", -ENOTSUP);
    small(&b);
    b.bytes[10] = 1;
    b.bytes[11] = 2;
    SAYS("the byte order at offset 10 is 0x0201", -EBADMSG);
    small(&b);
    b_number(&b, 12, 4097, 4);
    SAYS("page size 4097", -EBADMSG);
    memset(&b, 0, sizeof b);
    b_file(&b, 4096);
    definitions(&b);
    SAYS("block at offset 16 is not the header of a recording", -EBADMSG);
    for (size_t at = 16 + 48; at <= 16 + 72; at += at == 16 + 48 ? 16 : 8) { /* the process's start, and the pair */
        small(&b);
        b_number(&b, at, UINT64_C(1) << 63, 8);
        b_fix_crc(b.bytes, b.n, 16);
        SAYS("block at offset 16 has an impossible time", -EBADMSG);
    }
    CHECK_INT(pmt_reader_open(&r, "."), -EBADMSG);
    CHECK(strstr(r.why, "no regular file") != NULL);
    CHECK_INT(pmt_reader_rewind(&r), -EBADF);
    pmt_reader_close(&r);
    CHECK_INT(pmt_reader_open(&r, "there/is/none"), -ENOENT);
    CHECK(strstr(r.why, "No such file") != NULL);
    CHECK_INT(pmt_reader_block(&r), 0);
    pmt_reader_close(&r);
    pmt_reader_close(&r);
}

static void start(void)
{
    b_start(&b, 4096, 1000, 40960);
    definitions(&b);
    b_begin(&b, B_EVENTS);
    b_event(&b, 1, 16, 0);
}

static void end(void)
{
    b_finish(&b);
    b_text(&b, B_END, "# end\n");
}

static void field(size_t offset, uint64_t value, int bytes) /* of the block begun last */
{
    b_finish(&b);
    b_number(&b, b.block + offset, value, bytes);
    b_fix_crc(b.bytes, b.n, b.block);
}

static void wrong_blocks(void)
{
    char want[80];
    start();
    b_finish(&b);
    SAYS("has no end: the process was killed, or is still writing", 0);
    start();
    b_finish(&b);
    b_bytes(&b, "PMTB", 4);
    snprintf(want, sizeof want, "is cut at offset %zu", b.n);
    SAYS(want, 0);
    start();
    b_finish(&b);
    b.bytes[b.block + 12] ^= 1;
    snprintf(want, sizeof want, "block at offset %zu has a wrong CRC: the capture is cut there", b.block);
    SAYS(want, 0);
    start();
    b_finish(&b);
    b_bytes(&b, "PMTX", 4);
    SAYS("is no block: the capture is cut there", 0);
    start();
    field(8, (1u << 24) + 1, 4);
    SAYS("claims a payload of more than 16 MiB", 0);
    start();
    field(8, 1u << 24, 4);
    SAYS("is cut at offset", 0);
    start();
    field(8, UINT32_MAX, 4);
    SAYS("claims a payload of more than 16 MiB", 0);
    start();
    field(40, 2, 4);
    SAYS("announces 1 events more than it holds", 0);
    start();
    field(40, UINT32_MAX, 4);
    SAYS("claims an impossible number of events", 0);
    start();
    field(32, UINT64_MAX, 8);
    SAYS("claims an impossible number of events", 0);
    start();
    field(40, 0, 4);
    SAYS("is one event more than its block announced", 0);
    start();
    field(44, PMT_MAX_THREADS, 4);
    SAYS("begins with an impossible thread", 0);
    start();
    field(56, 4097, 8);
    SAYS("begins with an impossible RSS", 0);
    start();
    field(56, UINT64_C(1) << 63, 8);
    SAYS("begins with an impossible RSS", 0);
    start();
    field(48, UINT64_MAX, 8);
    SAYS("has an impossible clock", 0);
    start();
    field(64, (UINT64_C(1) << 62) + 1, 8);
    SAYS("has an impossible time", 0);
    start();
    field(72, (UINT64_C(1) << 61) + 1, 8);
    SAYS("has an impossible time", 0);
    start();
    field(72, (uint64_t)INT64_MIN, 8);
    SAYS("has an impossible time", 0);
    start();
    field(16, 99, 8);
    SAYS("is out of order", 0);
    start();
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_event(&b, 1, 16, 0);
    field(32, 0, 8);
    SAYS("is out of order", 0);
    start();
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_event(&b, 1, 16, 0);
    field(48, 999, 8);
    SAYS("has an impossible clock", 0);
    start();
    b_finish(&b);
    b_text(&b, B_TEXT, "again");
    SAYS("is a second header", 0);
}

static void wrong_items(void)
{
    static const struct {
        uint8_t bytes[16];
        int n;
        const char *want;
    } cases[] = {
        {{0x01, 16 + 2 * 8}, 2, "is of a site that is not defined"},
        {{0x01, 16 + 2 * 6}, 2, "is of a site that is not defined"}, /* a charge is no event */
        {{0x01, 17}, 2, "is of a site that is not defined"}, /* below the first */
        {{0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 11, "is of a site that is not defined"},
        {{0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2}, 11, "is longer than its block"},
        {{0x01, 0x80 | 17, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 12, "is longer than its block"},
        {{0x00}, 1, "expects a successor of a site that had none"},
        {{0x01}, 1, "is longer than its block"},
        {{0xFD}, 1, "is longer than its block"},
        {{0xF9}, 1, "is longer than its block"},
        {{0x01, 0}, 2, "is of an unknown kind"},
        {{0x01, 4, 1}, 3, "is of an unknown kind"},
        {{0x01, 15, 1}, 3, "is of an unknown kind"},
        {{0x05, 3, 1}, 3, "has bits that it must not have"},
        {{0x03, 3, 1}, 3, "has bits that it must not have"},
        {{0x01, 3, 0x80, 0x80, 0x10}, 5, "names an impossible thread"},
        {{0x01, 5, 24, 1, 1}, 5, "charges a peak to a site that is not defined"},
        {{0x01, 5, 15, 1, 1}, 5, "charges a peak to a site that is not defined"},
        {{0x01, 5, 16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1}, 13, "is an impossible peak"},
        {{0x01, 5, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 14, "is a peak of an impossible event"},
        {{0x01, 6, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 12, "is an impossible change"},
        {{0x01, 7, 2, 0}, 4, "neither begins nor ends"},
        {{0x01, 7, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 13, "makes the RSS impossible"},
        {{0x01, 8, 0xFF, 0xFF, 0xFF, 0x7F, 'x'}, 7, "is longer than its block"},
        {{0x01, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 12, "is longer than its block"},
        {{0x03, 18, 0x15}, 3, "makes the RSS impossible"}, /* 10 pages, less 11 */
        {{0x03, 18, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 12, "makes the RSS impossible"},
        {{0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 18}, 12, "makes the clock impossible"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int more = 0; more < 2; more++) { /* at the end of the block, and far from it */
            char want[128];
            start();
            snprintf(want, sizeof want, more && strstr(cases[i].want, "longer") != NULL ? "item at offset %zu" :
                     "item at offset %zu %s", b.n, cases[i].want);
            b_bytes(&b, cases[i].bytes, (size_t)cases[i].n);
            b.events++;
            for (int k = 0; k < 40 * more; k++) {
                b_bytes(&b, "\xFD\x01", 2); /* too long a number wherever it begins */
                b_bytes(&b, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11);
                b.events++;
            }
            end();
            SAYS(want, 0);
        }
    }
}

static void definition(const char *want) /* of the payload that is being written */
{
    end();
    SAYS(want, 0);
}

static void wrong_definitions(void)
{
    static const char *wrong = "is not valid: the capture is cut there";
    for (int i = 0; i < 16; i++) {
        b_start(&b, 4096, 1000, 40960);
        definitions(&b);
        b_begin(&b, B_DEFINITIONS);
        b_code(&b, 3, 1, "", ""); /* fine */
        char want[120];
        snprintf(want, sizeof want, "definition at offset %zu %s", b.n, wrong);
        switch (i) {
        case 0: b_code(&b, 5, 1, "a", "b"); break; /* ids are dense */
        case 1: b_code(&b, 0, 1, "a", "b"); break;
        case 2: b_code(&b, UINT64_MAX, 1, "a", "b"); break;
        case 3: b_code(&b, 4, 1u << 31, "a", "b"); break;
        case 4: b_site(&b, 25, 1, B_CALL, 1, ""); break;
        case 5: b_site(&b, 15, 1, B_CALL, 1, ""); break;
        case 6: b_site(&b, 24, 0, B_CALL, 1, ""); break;
        case 7: b_site(&b, 24, 4, B_CALL, 1, ""); break;
        case 8: b_site(&b, 24, 1, 6, 1, ""); break;
        case 9: b_site(&b, 24, 1, B_CALL, INT64_C(1) << 31, ""); break;
        case 10: b_site(&b, UINT64_C(1) << 32 | 16, 1, B_CALL, 1, ""); break;
        case 11: b_thread(&b, PMT_MAX_THREADS, 1, "x"); break;
        case 12: b_thread(&b, 1, UINT64_C(1) << 32, "x"); break;
        case 13: b_byte(&b, 4); break;
        case 14: b_bytes(&b, "\1\4\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1", 13); break; /* a huge string */
        default: b_bytes(&b, "\2\x18\1", 3); break;
        }
        definition(want);
    }
    /* Names of any length up to 64 KiB; thread names are cut at a whole character. */
    static char name[PMT_MAX_NAME + 2];
    pmt_reader r;
    memset(name, 'n', PMT_MAX_NAME);
    b_start(&b, 4096, 1, 0);
    b_begin(&b, B_DEFINITIONS);
    b_code(&b, 1, 1, name, name);
    b_site(&b, 16, 1, B_C_CALL, 1, name);
    memcpy(name + 239, "\xC3\xA4", 2);
    b_thread(&b, PMT_MAX_THREADS - 1, UINT32_MAX, name);
    end();
    b_save(b.bytes, b.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(dump(&r), 0);
    CHECK(r.complete);
    CHECK_INT(pmt_dictionary_thread(&r.dictionary, PMT_MAX_THREADS - 1)->len, 239);
    CHECK_INT(pmt_names_at(&r.dictionary.sites.names, pmt_sites_at(&r.dictionary.sites, 16)->name)->len, PMT_MAX_NAME);
    pmt_reader_close(&r);
    b_free(&b);
    memset(name, 'n', sizeof name - 1);
    b_start(&b, 4096, 1, 0);
    b_begin(&b, B_DEFINITIONS);
    b_code(&b, 1, 1, name, "f");
    definition(wrong);
}

/* Defined again and again: nothing grows but what is new; all is given back. */
static void dictionary_memory(void)
{
    pmt_dictionary d;
    int64_t mapped = 0;
    int bad = 0;
    CHECK_INT(pmt_dictionary_init(&d), 0);
    uint32_t generation = 0;
    for (int i = 0; i < 20000; i++) {
        memset(&b, 0, sizeof b);
        b_code(&b, 1, 5, "same.py", i % 2 ? "f" : "g");
        b_site(&b, 16, 1, B_C_CALL, i, i % 3 ? "len" : "open");
        pmt_bytes bytes = {b.bytes, b.bytes + b.n, false};
        bad += pmt_dictionary_apply(&d, &bytes) != 0;
        bad += pmt_sites_at(&d.sites, 16)->generation == generation;
        generation = pmt_sites_at(&d.sites, 16)->generation;
        mapped = i == 100 ? d.arena.mapped : mapped;
        b_free(&b);
    }
    CHECK_INT(bad, 0);
    CHECK_INT(d.arena.mapped, mapped);
    CHECK_INT(d.function_count, 5);
    CHECK(!pmt_dictionary_function(&d, 1)->c && pmt_dictionary_function(&d, 2)->c);
    CHECK_INT(pmt_dictionary_function(&d, 2)->line, 0);
    for (uint32_t i = 0; i < 5000; i++) { /* the hash grows */
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        memset(&b, 0, sizeof b);
        b_code(&b, i + 1, i, "many.py", name);
        b_site(&b, i + 16, i + 1, B_CALL, 1, "");
        pmt_bytes bytes = {b.bytes, b.bytes + b.n, false};
        bad += pmt_dictionary_apply(&d, &bytes) != 0;
        b_free(&b);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        bad += pmt_dictionary_function(&d, d.by_site[i + 16].function)->line != (int32_t)i;
    }
    CHECK_INT(bad, 0);
    CHECK_INT(d.function_count, 5005);
    pmt_dictionary_free(&d);
    CHECK_INT(d.arena.mapped, 0);
}

/* Sites whose places in the table of successors are the same. */
static void many_sites(void)
{
    enum { COUNT = 150000 };
    pmt_reader r;
    pmt_item item;
    b_start(&b, 4096, 0, 0);
    b_begin(&b, B_DEFINITIONS);
    b_code(&b, 1, 10, "a.py", "main");
    for (uint32_t id = 16; id < 16 + COUNT; id++) {
        b_site(&b, id, 1, B_CALL, (int64_t)id, "");
    }
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        b_event(&b, 1, 16 + i * 7 % COUNT, 0);
        b_event(&b, 1, 16 + i % 100, 0);
    }
    b_finish(&b);
    b_text(&b, B_END, "# end\n");
    b_save(b.bytes, b.n, PATH);
    b_free(&b);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(pmt_reader_block(&r), 1);
    int wrong = 0;
    for (uint32_t i = 0; i < 4 * COUNT; i++) {
        uint32_t site = 16 + (i % 2 != 0 ? i / 2 % 100 : i / 2 * 7 % COUNT);
        wrong += pmt_reader_item(&r, &item) != PMT_ITEM_EVENT || r.event.site != site;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(pmt_reader_block(&r), 0);
    CHECK(r.complete);
    pmt_reader_close(&r);
}

static void empty_blocks(void) /* nothing was read yet: there is no buffer, but an address is needed */
{
    pmt_reader r;
    pmt_item item;
    memset(&b, 0, sizeof b);
    b_file(&b, 4096);
    b_text(&b, B_TEXT, "");
    b_text(&b, B_TEXT, "");
    b_begin(&b, B_DEFINITIONS);
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_finish(&b);
    b_text(&b, B_END, "");
    b_save(b.bytes, b.n, PATH);
    b_free(&b);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_BYTES(r.text, r.text_len, "", 0);
    CHECK_INT(pmt_reader_block(&r), 1);
    CHECK_INT(pmt_reader_item(&r, &item), PMT_ITEM_NONE);
    CHECK_INT(pmt_reader_block(&r), 0);
    CHECK(r.complete && r.end_text != NULL && r.end_len == 0);
    pmt_reader_close(&r);
}

static ssize_t swallow(int fd, const void *bytes, size_t n)
{
    (void)fd, (void)bytes;
    return (ssize_t)n;
}

/* Times as far apart as they may be: printing them must not leave what numbers can hold. */
static void far_times(void)
{
    pmt_reader r;
    pmt_output o = {.fd.fd = -1};
    uint64_t rows;
    b_start(&b, 4096, 1000, 40960);
    b_number(&b, 16 + 48, 0 - (UINT64_C(1) << 61), 8);
    b_number(&b, 16 + 72, 0 - (UINT64_C(1) << 61), 8);
    b_fix_crc(b.bytes, b.n, 16);
    definitions(&b);
    for (int i = 0; i < 4; i++) {
        b_begin(&b, B_EVENTS);
        b_event(&b, UINT64_C(1) << 59, 16, 0);
        b_event(&b, UINT64_C(1) << 59, 21, 1);
        b_finish(&b);
        b_number(&b, b.block + 64, 1001 + (unsigned)i, 8); /* a unit is as long as can be */
        b_number(&b, b.block + 72, i % 2 ? 0 - (UINT64_C(1) << 61) : UINT64_C(1) << 61, 8);
        b_fix_crc(b.bytes, b.n, b.block);
    }
    b_text(&b, B_END, "# end\n");
    b_save(b.bytes, b.n, PATH);
    b_free(&b);
    pmt_sys_write = swallow;
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(pmt_convert(&r, &o, PMT_LOG_ALL, 0, true, &rows), 0);
    CHECK_INT(rows, 8);
    CHECK(r.complete);
    pmt_reader_close(&r);
    pmt_sys_write = write;
    pmt_timeline t = {.from = {0, PMT_NS_LIMIT}, .slope = 0.0 / (double)rows, .start_ns = -PMT_NS_LIMIT};
    for (int i = 0; i < 3; i++) {
        CHECK(pmt_timeline_us(&t, UINT64_C(1) << 62) <= 3 * PMT_NS_LIMIT / 1000);
        t.slope = i == 0 ? 1e300 : (double)NAN;
        t.start_ns = PMT_NS_LIMIT;
    }
}

/* What a killed recorder left says impossible things: refused, nothing is touched. */
static void wrong_remains(void)
{
    static uint8_t ring[PMT_RING_HEADER + 16 * 8];
    for (int i = 0; i < 8; i++) {
        pmt_ring_shared s = {.magic = PMT_RING_MAGIC, .version = 1, .bytes = PMT_RING_HEADER, .words = 16, .page = 4096,
                             .format = PMT_RING_CAPTURE, .ns_per_clock = 25};
        pmt_checkpoint *c = &s.checkpoints[0];
        pmt_recovered out;
        c->output = 1;
        switch (i) {
        case 0: s.ns_per_clock = (double)NAN; break;
        case 1: s.ns_per_clock = 1e300; break;
        case 2: s.first.ns = INT64_MAX; break;
        case 3: s.process_start_ns = INT64_MIN; break;
        case 4: c->timeline.from.ns = INT64_MIN; break;
        case 5: c->timeline.start_ns = INT64_MAX; break;
        case 6: c->rss_shown = INT64_MIN; break;
        default: c->clock = UINT64_MAX;
        }
        memcpy(ring, &s, sizeof s);
        b_save(ring, sizeof ring, PATH ".ring");
        b_save("x", 1, PATH);
        CHECK_INT(pmt_recover(PATH, &out), -EBADMSG);
        CHECK(strstr(out.why, "its header contradicts itself") != NULL);
        CHECK_INT(unlink(PATH ".ring"), 0);
    }
}

static void long_texts(void) /* in several blocks */
{
    pmt_reader r;
    b_start(&b, 4096, 1000, 40960);
    b_text(&b, B_TEXT, "and more\n");
    definitions(&b);
    size_t begin = b.n;
    b_text(&b, B_END, "# one\n");
    b_text(&b, B_END, "# end\n");
    b_save(b.bytes, b.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_BYTES(r.text, r.text_len, "# format: 1\nEvent ...\nand more\n", 31);
    for (int round = 0; round < 2; round++) {
        CHECK_INT(pmt_reader_block(&r), 0);
        CHECK(r.complete);
        CHECK_BYTES(r.end_text, r.end_len, "# one\n# end\n", 12);
        CHECK_INT(pmt_reader_rewind(&r), 0);
    }
    pmt_reader_close(&r);
    b.bytes[b.n - 2] ^= 1;
    b_save(b.bytes, b.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(pmt_reader_block(&r), 0);
    CHECK(!r.complete && strstr(r.why, "has a wrong CRC") != NULL);
    pmt_reader_close(&r);
    b.n = begin;
    b_text(&b, B_TEXT, "too late\n");
    b_save(b.bytes, b.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    CHECK_INT(pmt_reader_block(&r), 0);
    CHECK(strstr(r.why, "is a second header") != NULL);
    pmt_reader_close(&r);
    b_free(&b);
}

int main(void)
{
    crc();
    many_sites();
    empty_blocks();
    far_times();
    wrong_remains();
    long_texts();
    reads_all();
    truncated_anywhere();
    every_byte_changed();
    no_captures();
    wrong_blocks();
    wrong_items();
    wrong_definitions();
    dictionary_memory();
    return check_done();
}
