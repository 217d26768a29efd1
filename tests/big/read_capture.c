/* read_capture PATH: its tree, how fast it was built, and whether the memory stayed small: 64 MiB and the tree. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/tree.h"

#define MEMORY_MIB 64

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    pmt_reader r;
    pmt_tree t;
    int failed = 0;
    if (argc < 2 || pmt_reader_open(&r, argv[1]) < 0 || pmt_tree_init(&t) < 0) {
        fprintf(stderr, "read_capture PATH: %s\n", argc < 2 ? "which?" : r.why);
        return 2;
    }
    double tree = 0, start = now();
    int rc;
    while ((rc = pmt_reader_block(&r)) > 0) {
        double before = now();
        if ((rc = pmt_tree_add_block(&t, &r)) < 0) {
            break;
        }
        tree += now() - before;
    }
    double all = now() - start;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    int64_t sum = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        sum += t.nodes[i].up + t.nodes[i].down;
    }
    double mib = (double)use.ru_maxrss / 1024;
    /* while the nodes grow, the old ones stand beside the new ones */
    double tree_mib = ((double)t.room * 1.5 * sizeof(pmt_node) + (double)t.mask * 1.5 * sizeof *t.slots) / 1048576;
    double events = (double)(t.events > 0 ? t.events : 1);
    printf("%" PRIu64 " events, %" PRIu32 " nodes, %" PRIu64 " unmatched, %" PRIu64 " skipped, %.3f s recorded\n",
           t.events, t.count, t.unmatched, t.skipped, t.seconds);
    printf("read and tree: %.2f s, %.1f million events/s, %.2f ns an event; of it decoding and tree %.2f ns\n", all,
           events / all / 1e6, all * 1e9 / events, tree * 1e9 / events);
    printf("memory: %.1f MiB at most, of it the tree %.1f MiB\n", mib, tree_mib);
    if (rc < 0 || !r.complete) {
        printf("FAILED: %s\n", r.why);
        failed = 1;
    }
    if (sum != t.rss_last - t.rss_first) {
        printf("FAILED: %" PRId64 " bytes charged, RSS changed by %" PRId64 "\n", sum, t.rss_last - t.rss_first);
        failed = 1;
    }
    if (mib > MEMORY_MIB + tree_mib) {
        printf("FAILED: more than %d MiB beside the tree\n", MEMORY_MIB);
        failed = 1;
    }
    if (argc > 2 && strcmp(argv[2], "--items") == 0) { /* event by event, as conversions read it */
        pmt_item item;
        uint64_t n = 0;
        pmt_reader_rewind(&r);
        start = now();
        while (pmt_reader_block(&r) > 0) {
            for (pmt_item_kind kind; (kind = pmt_reader_item(&r, &item)) != PMT_ITEM_NONE;) {
                n += kind == PMT_ITEM_EVENT;
            }
        }
        all = now() - start;
        printf("item by item: %.2f ns an event\n", all * 1e9 / (double)(n > 0 ? n : 1));
        failed |= n != t.events;
    }
    pmt_tree_free(&t);
    pmt_reader_close(&r);
    return failed;
}
