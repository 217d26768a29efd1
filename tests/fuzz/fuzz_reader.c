/* Any bytes as a capture: read item by item and as a tree, nothing may crash, and nothing of the tree may get lost.
 *
 * With clang this is a libFuzzer target. With -DSTANDALONE it mutates captures of its own: fuzz_reader [SECONDS [SEED]].
 * What made it crash stands in fuzz_reader.crash. CRCs are made right in both, or fuzzing would end at the first one. */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/capture_builder.h"
#include "core/tree.h"

static int file = -1;
static char path[64];

static void expect(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "fuzz_reader: not so: %s\n", what);
        abort();
    }
}

static void read_capture(const uint8_t *bytes, size_t n)
{
    pmt_reader r;
    pmt_tree t;
    pmt_item item;
    if (file < 0) {
        file = memfd_create("capture", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) < 0 || pwrite(file, bytes, n, 0) != (ssize_t)n) {
        perror("fuzz_reader");
        exit(2);
    }
    int rc = pmt_reader_open(&r, path);
    expect((rc == 0) == (r.why[0] == '\0'), "an error says why");
    if (rc == 0) {
        uint64_t events = 0;
        while (pmt_reader_block(&r) > 0) {
            for (pmt_item_kind kind; (kind = pmt_reader_item(&r, &item)) != PMT_ITEM_NONE;) {
                events += kind == PMT_ITEM_EVENT;
                expect(kind != PMT_ITEM_EVENT || pmt_dictionary_has_site(&r.dictionary, r.event.site), "sites are defined");
                expect(r.event.rss >= 0 && r.event.rss % r.page == 0, "RSS is in pages");
            }
        }
        expect(r.complete == (r.why[0] == '\0'), "what is not complete says why");
        char why[sizeof r.why];
        memcpy(why, r.why, sizeof why);
        expect(pmt_tree_init(&t) == 0 && pmt_tree_read(&t, &r) == 0, "a tree is built");
        uint64_t sum = 0;
        for (uint32_t i = 0; i < t.count; i++) {
            sum += (uint64_t)t.nodes[i].up + (uint64_t)t.nodes[i].down;
            expect(i == 0 || t.nodes[i].parent < i, "parents stand before their children");
        }
        expect(t.events == events, "the tree has all events");
        expect(strcmp(why, r.why) == 0, "both ways find the same mistake");
        expect(sum == (uint64_t)t.rss_last - (uint64_t)t.rss_first, "nothing is lost");
        pmt_tree_free(&t);
    }
    pmt_reader_close(&r);
}

static uint8_t *copy;

static void fix_and_read(const uint8_t *bytes, size_t n)
{
    copy = realloc(copy, n + 1);
    if (n > 0) {
        memcpy(copy, bytes, n);
    }
    for (size_t at = 16; at + 88 <= n && memcmp(copy + at, "PMTB", 4) == 0 && b_fix_crc(copy, n, at);) {
        at += 88 + pmt_load_u32(copy + at + 8);
    }
    read_capture(copy, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n > 0 && (bytes[n - 1] & 7) == 0) {
        read_capture(bytes, n);
    }
    fix_and_read(bytes, n);
    return 0;
}

#ifdef STANDALONE

#include <signal.h>

static uint64_t state = 88172645463325252u;
static builder b;
static uint8_t *input;
static size_t input_len;

static uint32_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n == 0 ? 0 : (uint32_t)((state >> 16) % n);
}

/* A capture by chance, with everything that there is; from a few hundred bytes to some thousands. */
static void make_seed(void)
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
    for (uint32_t blocks = below(5); blocks > 0; blocks--) {
        if (below(4) == 0) {
            b_begin(&b, B_DEFINITIONS);
            b_code(&b, 1 + below(codes), 3, "again.py", names[below(5)]);
            b_site(&b, 16 + below(sites), 1 + below(codes), below(5), 7, "again");
            b_finish(&b);
        }
        b_begin(&b, below(12) == 0 ? below(9) : B_EVENTS);
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
    if (below(4) != 0) {
        b_text(&b, B_END, "# end\n");
    }
}

static void mutate(void)
{
    static const uint8_t odd[] = {0, 1, 2, 3, 15, 16, 61, 62, 63, 0x7F, 0x80, 0xF8, 0xFC, 0xFD, 0xFE, 0xFF};
    for (uint32_t times = below(6); times > 0 && input_len > 0; times--) {
        size_t at = below(4) != 0 && input_len > 150 ? 150 + below(input_len - 150) : below(input_len);
        size_t n = below(input_len - at < 40 ? input_len - at : 40) + 1;
        switch (below(7)) {
        case 0: input[at] ^= (uint8_t)(1 << below(8)); break;
        case 1: input[at] = odd[below(sizeof odd)]; break;
        case 2: input[at] = (uint8_t)below(256); break;
        case 3: memmove(input + below(input_len - n + 1), input + at, n); break; /* a piece over another one */
        case 4: memset(input + at, odd[below(sizeof odd)], n); break;
        case 5: input_len = below(8) == 0 ? at : input_len; break;
        default: /* a piece goes */
            if (below(3) == 0) {
                memmove(input + at, input + at + n, input_len - at - n);
                input_len -= n;
            }
        }
    }
}

static void crashed(int signal_number)
{
    FILE *f = fopen("fuzz_reader.crash", "wb");
    if (f != NULL) {
        fwrite(input, 1, input_len, f);
        fclose(f);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 60;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) * 2 + 1 : (uint64_t)time(NULL) * 2 + 1;
    printf("seed %llu, %.0f s\n", (unsigned long long)(state / 2), seconds);
    fflush(stdout);
    signal(SIGABRT, crashed); /* of the sanitizers too, by abort_on_error=1 */
    struct timespec now, start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    unsigned long runs = 0;
    do {
        make_seed();
        for (int k = 0; k < 20; k++, runs++) {
            input = realloc(input, b.n);
            input_len = b.n;
            memcpy(input, b.bytes, b.n);
            mutate();
            if (runs % 2 == 0) {
                fix_and_read(input, input_len);
            }
            else {
                read_capture(input, input_len);
            }
        }
        b_free(&b);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) < seconds);
    free(input);
    free(copy);
    printf("%lu captures, nothing found\n", runs);
    return 0;
}

#endif
