/* The reader, the tree and the conversion to text must withstand any file, and agree about it: a libFuzzer target.
 *
 * The input is a capture; a file header that comes again begins a segment of --keep. What is no capture is given to the
 * dictionary as definitions. Files go to the current folder. */
#include "core/convert.h"
#include "core/tree.h"
#include "fuzz.h"

#define PATH "c.pmt"
#define SEGMENTS 4
#define MOMENTS 64

static ssize_t swallow(int fd, const void *bytes, size_t n)
{
    (void)fd, (void)bytes;
    return (ssize_t)n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_begin();
    pmt_sys_write = swallow;
    return 0;
}

static volatile uint64_t letters; /* summed up so that all of them are read */

static uint64_t read_items(pmt_reader *r)
{
    pmt_item item;
    uint64_t events = 0;
    while (pmt_reader_block(r) > 0) {
        for (pmt_item_kind kind; (kind = pmt_reader_item(r, &item)) != PMT_ITEM_NONE;) {
            const pmt_event *e = &r->event;
            events += kind == PMT_ITEM_EVENT;
            fuzz_expect(kind != PMT_ITEM_EVENT || pmt_dictionary_has_site(&r->dictionary, e->site), "sites are defined");
            fuzz_expect(e->rss >= 0 && e->rss % r->page == 0, "RSS is in pages");
            for (size_t i = 0; kind == PMT_ITEM_TEXT && i < item.text_len; i++) {
                letters += (uint8_t)item.text[i];
            }
        }
    }
    fuzz_expect(r->complete == (r->why[0] == '\0'), "what is not complete says why");
    return events;
}

static void check_history(const pmt_tree *t, uint64_t held)
{
    pmt_moment moments[MOMENTS];
    size_t n = pmt_history_moments(t->history, moments);
    fuzz_expect(n <= MOMENTS && (n > 0) == (t->events > 0), "there are moments where there are events");
    for (size_t i = 0; i < n; i++) {
        fuzz_expect(moments[i].node > PMT_NODE_ROOT && moments[i].node < t->count, "moments are at nodes");
        fuzz_expect(moments[i].rss >= 0 && moments[i].rss <= t->rss_peak, "nothing is above the peak");
        fuzz_expect(i == 0 || moments[i].ns >= moments[i - 1].ns, "time does not go back");
    }
    fuzz_expect(n == 0 || held == (uint64_t)t->rss_peak - (uint64_t)t->rss_first, "what was held is the peak");
}

static void read_tree(pmt_reader *r, uint64_t events)
{
    char why[sizeof r->why];
    pmt_history history;
    pmt_tree t;
    uint64_t sum = 0, held = 0;
    memcpy(why, r->why, sizeof why);
    fuzz_expect(pmt_tree_init(&t) == 0 && pmt_history_init(&history, MOMENTS) == 0, "a tree is begun");
    t.history = &history;
    fuzz_expect(pmt_tree_read(&t, r) == 0, "a tree is built");
    for (uint32_t i = 0; i < t.count; i++) {
        uint64_t net = (uint64_t)t.nodes[i].up + (uint64_t)t.nodes[i].down;
        sum += net;
        held += (uint64_t)pmt_history_at_peak(&history, i, (int64_t)net);
        fuzz_expect(i == 0 || t.nodes[i].parent < i, "parents stand before their children");
    }
    fuzz_expect(t.events == events, "the tree has all events");
    fuzz_expect(strcmp(why, r->why) == 0, "both ways find the same mistake");
    fuzz_expect(sum == (uint64_t)t.rss_last - (uint64_t)t.rss_first, "nothing is lost");
    int64_t *sums = malloc(4 * t.count * sizeof *sums);
    uint64_t *clocks = malloc(t.count * sizeof *clocks);
    pmt_tree_inclusive(&t, sums, sums + t.count, sums + 2 * t.count, sums + 3 * t.count, clocks);
    fuzz_expect((uint64_t)sums[PMT_NODE_ROOT] == sum, "the root has everything");
    check_history(&t, held);
    free(sums);
    free(clocks);
    pmt_history_free(&history);
    pmt_tree_free(&t);
}

static void print_rows(pmt_reader *r, uint64_t events, unsigned how)
{
    pmt_output o = {.fd.fd = -1};
    uint64_t rows = 0;
    static const pmt_log logs[] = {PMT_LOG_ALL, PMT_LOG_THRESHOLD, PMT_LOG_PREVIOUS};
    int rc = pmt_convert(r, &o, logs[how % 3], how % 5 * 5000, how % 2 == 0, &rows);
    fuzz_expect(rc == 0, "what there is is printed");
    fuzz_expect(how % 3 != 0 || rows == events, "all events are printed");
    fuzz_expect(how % 3 == 2 || rows <= events, "no event is printed twice");
}

static void define(const uint8_t *bytes, size_t n)
{
    pmt_dictionary d;
    pmt_bytes b = {bytes, bytes + n, false};
    fuzz_expect(pmt_dictionary_init(&d) == 0, "a dictionary is made");
    int rc = pmt_dictionary_apply(&d, &b);
    fuzz_expect(rc == 0 ? b.at == b.end : b.at < b.end, "a mistake has a place");
    for (uint32_t site = PMT_SITE_FIRST; site < d.high; site++) {
        fuzz_expect(d.by_site[site].function > 0 && d.by_site[site].function < d.function_count, "sites have functions");
        const pmt_function *f = pmt_dictionary_function(&d, d.by_site[site].function);
        fuzz_expect(pmt_names_at(&d.sites.names, f->name) != NULL, "functions have names");
    }
    pmt_dictionary_free(&d);
    fuzz_expect(d.arena.mapped == 0, "all is given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const uint8_t *next, *at = bytes, *end = bytes + n;
    char path[16] = PATH;
    pmt_reader r;
    int files = 0;
    if (n == 0 || bytes[0] != 0x89) {
        define(bytes, n);
        return 0;
    }
    for (; files <= SEGMENTS && at < end; files++, at = next) {
        next = end - at > 8 ? memmem(at + 1, (size_t)(end - at) - 1, PMT_CAPTURE_MAGIC, 8) : NULL;
        next = next == NULL || files == SEGMENTS ? end : next;
        b_save(at, (size_t)(next - at), path);
        snprintf(path, sizeof path, PATH ".%d", files + 1);
    }
    int rc = pmt_reader_open(&r, PATH);
    fuzz_expect((rc == 0) == (r.why[0] == '\0'), "an error says why");
    if (rc == 0) {
        uint64_t events = read_items(&r);
        read_tree(&r, events);
        unsigned how = pmt_crc32(0, bytes, n) % 60;
        if (how < 30) {
            print_rows(&r, events, how);
        }
        fuzz_expect(pmt_reader_rewind(&r) == 0 && read_items(&r) == events, "it reads the same again");
    }
    pmt_reader_close(&r);
    while (--files > 0) {
        snprintf(path, sizeof path, PATH ".%d", files);
        unlink(path);
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n, size_t most, unsigned seed)
{
    fuzz_seed(seed);
    if (n == 0 || bytes[0] != 0x89) {
        return LLVMFuzzerMutate(bytes, n, most);
    }
    uint8_t *second = n > 8 ? memmem(bytes + 1, n - 1, PMT_CAPTURE_MAGIC, 8) : NULL;
    if (second == NULL || fuzz_below(2) == 0) { /* the segments stay behind the capture: it may shrink only */
        size_t len = second == NULL ? n : (size_t)(second - bytes);
        size_t now = fuzz_mutate_capture(bytes, len, second == NULL ? most : len);
        memmove(bytes + now, bytes + len, n - len);
        return now + n - len;
    }
    size_t before = (size_t)(second - bytes); /* the last part is mutated */
    for (uint8_t *p; (p = memmem(bytes + before + 1, n - before - 1, PMT_CAPTURE_MAGIC, 8)) != NULL && fuzz_below(2) == 0;) {
        before = (size_t)(p - bytes);
    }
    return before + fuzz_mutate_capture(bytes + before, n - before, most - before);
}
