/* make_seeds FOLDER: what fuzzing begins with, into FOLDER/reader and FOLDER/recover. Always the same. */
#include <sys/stat.h>

#include "capture_builder.h"
#include "core/record.h"
#include "remains.h"

#define CAPTURES 40

static uint64_t state = 88172645463325252u;
static builder b; /* 256 KiB: not on the stack */
static const char *folder;

static uint32_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n == 0 ? 0 : (uint32_t)((state >> 16) % n);
}

static void save(const char *target, const char *name, int number)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s-%d", folder, target, name, number);
    b_save(b.bytes, b.n, path);
    b_free(&b);
}

/* Sites 16 to 27: of two Python functions, and of C functions in them; every kind there is. */
static void definitions(builder *to)
{
    b_thread(to, 0, 4711, "MainThread");
    b_thread(to, 7, 4712, "");
    b_code(to, 1, 10, "a.py", "main");
    b_code(to, 2, 20, "\xC3\xA4.py", "<lambda>");
    for (uint32_t i = 0; i < 12; i++) {
        b_site(to, 16 + i, 1 + i / 2 % 2, i < 4 ? i % 2 : i == 11 ? B_CHARGED : 2 + i % 3, (int)i * 10 - 1,
               i < 4 ? "" : i % 2 ? "len" : "open");
    }
}

/* A capture by chance, with everything that there is; from a few hundred bytes to some thousands. */
static void make_capture(void)
{
    static const char *const names[] = {"f", "main", "<lambda>", "\xC3\xA4", ""};
    b_start(&b, below(4) == 0 ? 16384 : 4096, below(1000), 40960 * 16);
    uint32_t codes = 1 + below(4), sites = 1 + below(20);
    b_begin(&b, B_DEFINITIONS);
    b_thread(&b, below(5), below(70000), names[below(5)]);
    for (uint32_t i = 0; i < codes; i++) {
        b_code(&b, i + 1, below(1000), names[below(5)], names[below(5)]);
    }
    for (uint32_t i = 0; i < sites; i++) {
        b_site(&b, 16 + i, 1 + below(codes), below(20) == 0 ? 5 : below(5), (int)below(1000) - 1, names[below(5)]);
    }
    b_finish(&b);
    for (uint32_t blocks = 1 + below(4); blocks > 0; blocks--) {
        if (below(3) == 0) { /* an id is used again */
            b_begin(&b, B_DEFINITIONS);
            b_code(&b, 1 + below(codes), 3, "again.py", names[below(5)]);
            b_site(&b, 16 + below(sites), 1 + below(codes), below(5), 7, "again");
            b_finish(&b);
        }
        b_begin(&b, below(12) == 0 ? 6 + below(3) : B_EVENTS);
        for (uint32_t n = below(120); n > 0; n--) {
            switch (below(24)) {
            case 0: b_switch(&b, below(4)); break;
            case 1: b_peak(&b, below(2) ? 0 : 16 + below(sites), below(1 << 20)); break;
            case 2: b_tracer(&b, (int)below(100000) - 50000); break;
            case 3: b_nested(&b, below(2), (int)below(5) - 2); break;
            case 4: b_message(&b, names[below(5)]); break;
            default:
                b_event(&b, below(9) == 0 ? below(400) : below(40) == 0 ? (uint64_t)below(1u << 31) << below(20) : below(5),
                        16 + below(sites), below(5) == 0 ? (int)below(20) - 5 : 0);
            }
        }
        b_finish(&b);
    }
    b_begin(&b, B_TOTALS);
    b_string(&b, "a.py");
    b_zigzag(&b, 10);
    b_string(&b, "main");
    b_zigzag(&b, -4096);
    b_varint(&b, 3);
    b_finish(&b);
    if (below(4) != 0) {
        b_text(&b, B_END, "# events: 1\n# logged: 1\n# end\n");
    }
}

/* Of a recording with --keep: a capture, and its segments behind it. */
static void make_segments(void)
{
    static builder main_file;
    b_start(&main_file, 4096, 1000, 40960);
    b_begin(&main_file, B_DEFINITIONS);
    definitions(&main_file);
    b_finish(&main_file);
    memset(&b, 0, sizeof b);
    for (int i = 0; i < 3; i++) {
        b_file(&b, 4096);
        for (int k = 0; k < 2; k++) {
            b_begin(&b, B_EVENTS);
            b_event(&b, 1, 16, i);
            b_event(&b, 1, 17, 0);
            b_finish(&b);
        }
        main_file.ring = b.ring;
        main_file.event = b.event;
        b_begin(&main_file, B_DEFINITIONS);
        b_site(&main_file, 17, 1, B_CALL, 100 + i, "");
        b_finish(&main_file);
    }
    b_text(&main_file, B_END, "# end\n");
    b_bytes(&main_file, b.bytes, b.n);
    b_free(&b);
    b.bytes = main_file.bytes;
    b.n = main_file.n;
}

/* --- what a killed recorder leaves ----------------------------------------------------------------------------------- */

static uint64_t words[4096];
static uint32_t word_count;

static void put(uint64_t word)
{
    words[word_count++] = word;
}

static void put_bytes(uint32_t escape, const void *bytes, size_t n)
{
    put(pmt_word(escape, (uint32_t)n));
    words[word_count + n / 8] = 0;
    memcpy(words + word_count, bytes, n);
    word_count += (uint32_t)(n + 7) / 8;
}

static void make_words(bool rows)
{
    builder *d = calloc(1, sizeof *d);
    word_count = 0;
    for (uint32_t i = 0; i < 3; i++) { /* in the ring, and not yet in the file */
        d->n = 0;
        b_site(d, 28 + i, 1, B_CALL, 5, "");
        put_bytes(PMT_ESC_DEFINE, d->bytes, d->n);
    }
    b_free(d);
    free(d);
    put(pmt_word(PMT_ESC_THREAD, 7));
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t site = 16 + below(11);
        if (rows) {
            put(pmt_word(PMT_ESC_ROW, site));
            put(i);
            put(1000 + i * 3);
            put(below(100) * 4096 | (below(4) == 0 ? PMT_ROW_PREV : 0));
        }
        else {
            put(pmt_word(site, below(100)));
        }
        switch (below(12)) {
        case 0: put(pmt_word(PMT_ESC_RSS, 0)); put(below(100) * 4096); break;
        case 1: put(pmt_word(PMT_ESC_CLOCK, 0)); put((uint64_t)i << 33); break;
        case 2: put(pmt_word(PMT_ESC_PEAK, below(2) ? 0 : 27)); put(409600); put(i + 1); break;
        case 3: put(pmt_word(PMT_ESC_TRACER, 0)); put(below(2) ? 4096 : (uint64_t)-4096); break;
        case 4: put(pmt_word(PMT_ESC_NESTED, below(2))); break;
        case 5: put_bytes(PMT_ESC_TEXT, "end of a message", below(17)); break;
        default: break;
        }
    }
}

static void make_remains(pmt_ring_format format, bool wraps)
{
    pmt_ring_shared s = {.magic = PMT_RING_MAGIC, .version = 1, .bytes = PMT_RING_HEADER, .format = format, .page = 4096,
                         .ns_per_clock = 25, .process_start_ns = 500, .first = {1000, 26000}, .comments = !wraps};
    remains_head head = {0};
    bool capture = format == PMT_RING_CAPTURE;
    make_words(format == PMT_RING_PREVIOUS);
    for (s.words = 16; s.words < word_count; s.words *= 2) {
    }
    uint64_t first = wraps ? s.words * 5 + 7 : 0; /* words that had gone through the ring before */
    b_start(&b, 4096, 1000, 40960);
    b_begin(&b, B_DEFINITIONS);
    definitions(&b);
    b_finish(&b);
    b.ring += first;
    const char *log = "# a log\n1            0.000001     CALL\n";
    head.words = (uint32_t)s.words;
    head.output = capture ? (uint32_t)b.n : (uint32_t)strlen(log);
    head.definitions = capture ? 0 : (uint32_t)b.n;
    s.checkpoints[0] = (pmt_checkpoint){.tail = first, .output = head.output, .definitions = head.definitions, .clock = 1000,
                                        .rss = 40960, .rss_shown = 40960, .timeline.from = {1000, 26000}};
    atomic_store(&s.head, first + word_count);
    atomic_store(&s.tail, first);
    memcpy(head.shared, &s, sizeof s);
    builder all = {0};
    b_bytes(&all, &head, sizeof head);
    for (uint64_t i = 0; i < s.words; i++) {
        uint64_t from = (i - first) & (s.words - 1);
        b_bytes(&all, from < word_count ? &words[from] : &(uint64_t){0}, 8);
    }
    b_bytes(&all, capture ? (const void *)b.bytes : log, head.output);
    b_bytes(&all, b.bytes, head.definitions);
    b_bytes(&all, "cut", 3);
    b_free(&b);
    b = all;
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc < 2) {
        fprintf(stderr, "make_seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    mkdir(folder, 0777);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i == 0 ? "reader" : "recover");
        mkdir(path, 0777);
    }
    for (int i = 0; i < CAPTURES; i++) {
        make_capture();
        save("reader", "capture", i);
    }
    make_segments();
    save("reader", "segments", 0);
    memset(&b, 0, sizeof b);
    definitions(&b);
    save("reader", "definitions", 0);
    for (int i = 0; i < 6; i++) {
        make_remains((pmt_ring_format)(i % 3), i >= 3);
        save("recover", "remains", i);
    }
    return 0;
}
