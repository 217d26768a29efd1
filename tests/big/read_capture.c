/* read_capture PATH [RUNS]: its tree, how fast it was built, and whether the memory stayed small: 64 MiB and the tree; then
 * once more with RSS over time and what was held at the peak. A
 * capture that make_capture made says in its last text what must come out: events, RSS, the net change of each function. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/tree.h"

#define MEMORY_MIB 64
#define MOMENTS 4000

static int failed;

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void expect(bool good, const char *what)
{
    if (!good) {
        printf("FAILED: %s\n", what);
        failed = 1;
    }
}

static bool is_named(const pmt_reader *r, uint32_t id, const char *text, size_t n)
{
    const pmt_name *name = pmt_names_at(&r->dictionary.sites.names, id);
    return name != NULL && name->len == n && memcmp(name->bytes, text, n) == 0;
}

/* "net FILE FUNCTION BYTES" for each function; the functions that are not named have not changed RSS. */
static void check_net(const pmt_reader *r, const pmt_tree *t)
{
    uint32_t functions = r->dictionary.function_count, wrong = 0, found = 0;
    int64_t *net = calloc(functions, sizeof *net);
    for (uint32_t i = PMT_NODE_FIRST; i < t->count; i++) {
        net[t->nodes[i].function] += t->nodes[i].up + t->nodes[i].down;
    }
    for (const char *line = r->end_text; line != NULL && (line = strstr(line, "\nnet ")) != NULL;) {
        char file[100], name[100];
        int64_t bytes = 0;
        line++;
        if (sscanf(line, "net %99s %99s %" SCNd64, file, name, &bytes) != 3) {
            break;
        }
        uint32_t id = 1;
        for (; id < functions; id++) {
            const pmt_function *f = pmt_dictionary_function(&r->dictionary, id);
            if (is_named(r, f->name, name, strlen(name)) && is_named(r, f->file, file, strlen(file))) {
                break;
            }
        }
        wrong += id == functions ? bytes != 0 : net[id] != bytes;
        net[id < functions ? id : 0] = 0;
        found++;
    }
    for (uint32_t id = 1; id < functions; id++) {
        wrong += net[id] != 0;
    }
    free(net);
    expect(wrong == 0, "functions with another net change than was recorded");
    printf("%" PRIu32 " functions, %" PRIu32 " of them checked\n", functions - 1, found);
}

static void check(const pmt_reader *r, const pmt_tree *t)
{
    uint64_t events, first, last, sum = 0, calls = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        sum += (uint64_t)t->nodes[i].up + (uint64_t)t->nodes[i].down;
        calls += t->nodes[i].calls;
    }
    expect(r->complete, r->why);
    expect((int64_t)sum == t->rss_last - t->rss_first, "the charges are not the change of RSS");
    expect(calls <= t->events, "more calls than events");
    if (r->end_text != NULL && sscanf(r->end_text, "events %" SCNu64 " %" SCNu64 " %" SCNu64, &events, &first, &last) == 3) {
        expect(events == t->events, "another number of events than was recorded");
        expect((int64_t)first == t->rss_first && (int64_t)last == t->rss_last, "another RSS than was recorded");
        expect(t->unmatched + t->skipped + t->returns_before == 0, "events that do not fit");
        check_net(r, t);
    }
}

static void check_history(const pmt_tree *t)
{
    static pmt_moment moments[MOMENTS];
    size_t n = pmt_history_moments(t->history, moments);
    uint64_t held = 0;
    int64_t most = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        held += (uint64_t)pmt_history_at_peak(t->history, i, t->nodes[i].up + t->nodes[i].down);
    }
    for (size_t i = 0; i < n; i++) {
        most = moments[i].rss > most ? moments[i].rss : most;
    }
    expect((int64_t)held == t->rss_peak - t->rss_first, "what was held at the peak is not the peak");
    expect(n > 0 && most == t->rss_peak, "no moment has the highest RSS");
    printf("%zu moments of RSS over time\n", n);
}

/* How long reading and the tree took. */
static void measure(const char *path, bool last, bool with_history)
{
    pmt_reader r;
    pmt_tree t;
    pmt_history history;
    struct rusage use;
    if (pmt_reader_open(&r, path) < 0 || pmt_tree_init(&t) < 0 || pmt_history_init(&history, MOMENTS) < 0) {
        fprintf(stderr, "%s %s\n", path, r.why);
        exit(2);
    }
    t.history = with_history ? &history : NULL;
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    int rc = pmt_tree_read(&t, &r);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    getrusage(RUSAGE_SELF, &use);
    expect(rc == 0, "the tree could not be built");
    double mib = (double)use.ru_maxrss / 1024, events = (double)(t.events > 0 ? t.events : 1) / 1e6;
    /* while the nodes grow, the old ones stand beside the new ones */
    double tree_mib = ((double)t.room * 1.5 * sizeof(pmt_node) + (double)t.mask * 1.5 * sizeof *t.slots) / 1048576;
    printf("%s%.2f s, %.1f million events/s (by processor time %.1f), %.2f ns an event\n",
           with_history ? "with history: " : "", wall, events / wall, events / cpu, wall * 1e3 / events);
    if (last) {
        printf("%" PRIu64 " events, %" PRIu32 " nodes, %.3f s recorded, %.2f bytes an event\n", t.events, t.count, t.seconds,
               (double)r.size / 1e6 / events);
        printf("memory: %.1f MiB at most, of it the tree %.1f MiB\n", mib, tree_mib);
        expect(mib <= MEMORY_MIB + tree_mib, "more memory beside the tree than its bound");
        check(&r, &t);
    }
    if (with_history) {
        check_history(&t);
    }
    pmt_history_free(&history);
    pmt_tree_free(&t);
    pmt_reader_close(&r);
}

int main(int argc, char **argv)
{
    int runs = argc > 2 ? atoi(argv[2]) : 1;
    if (argc < 2 || runs < 1) {
        fprintf(stderr, "read_capture PATH [RUNS]\n");
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        measure(argv[1], i == runs - 1, false);
    }
    measure(argv[1], false, true);
    return failed;
}
