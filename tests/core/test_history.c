/* RSS over time and what was held at the peak: against models that keep everything. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/history.h"

#define CHANGES 60000
#define NODES 5000
#define NS 25.0 /* a clock unit */

static unsigned seed = 1;

static unsigned below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (unsigned)(((uint64_t)seed * n) >> 32);
}

/* --- RSS over time --------------------------------------------------------------------------------------------------- */

static pmt_moment all[CHANGES], wanted[1 << 16], got[1 << 16];
static uint64_t clocks[CHANGES];

static bool same(const pmt_moment *a, const pmt_moment *b)
{
    return a->ns == b->ns && a->rss == b->rss && a->node == b->node && a->thread == b->thread && a->peak == b->peak;
}

static void is(const pmt_history *h, size_t n, int line)
{
    size_t found = pmt_history_moments(h, got), good = 0;
    check_int((long long)found, (long long)n, __FILE__, line, "moments");
    while (good < n && good < found && same(&got[good], &wanted[good])) {
        good++;
    }
    check_int((long long)good, (long long)n, __FILE__, line, "moments as they should be");
}

#define IS(h, n) is((h), (n), __LINE__)

static size_t want(size_t n, pmt_moment m)
{
    if (n == 0 || wanted[n - 1].ns != m.ns || wanted[n - 1].rss != m.rss || wanted[n - 1].peak != m.peak) {
        wanted[n++] = m;
    }
    return n;
}

/* Of all[from..to), which fall into one bucket: the moments that are kept. */
static size_t want_bucket(size_t n, size_t from, size_t to)
{
    const pmt_moment *least = NULL, *most = NULL, *last = NULL, *peak = NULL, *of[4];
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        const pmt_moment *m = &all[i];
        if (m->peak) {
            peak = peak == NULL || m->rss > peak->rss ? m : peak;
            continue;
        }
        least = least == NULL || m->rss < least->rss ? m : least;
        most = most == NULL || m->rss > most->rss ? m : most;
        last = m;
    }
    if (last != NULL) {
        of[count++] = most->ns < least->ns ? most : least;
        of[count++] = most->ns < least->ns ? least : most;
        of[count++] = last;
    }
    for (size_t i = 0; i < count; i++) {
        if (peak != NULL && peak->ns < of[i]->ns) {
            n = want(n, *peak);
            peak = NULL;
        }
        n = want(n, *of[i]);
    }
    return peak != NULL ? want(n, *peak) : n;
}

static void over_time(unsigned round)
{
    pmt_history h;
    uint32_t moments = round < 4 ? 16 + round : 16u << below(9), room = (moments - 1) / 4 / 2 * 2;
    size_t changes = round < 4 ? round : 1 + below(round % 5 == 0 ? CHANGES : 3000);
    uint64_t clock = UINT64_C(1) << 40, jump = UINT64_C(1) << (round % 30);
    unsigned shift = 10;
    CHECK_INT(pmt_history_init(&h, moments), 0);
    h.rate = (pmt_rate){.from = clock - 77, .ns = 1e6, .slope = NS};
    for (size_t i = 0; i < changes; i++) {
        clock += below(20) == 0 ? jump * below(9) : below(3000);
        bool peak = i > 0 && below(10) == 0;
        clocks[i] = clock;
        all[i] = (pmt_moment){.ns = 1e6 + (double)(clock - h.rate.from) * NS, .rss = 1 + below(1000), .node = below(50),
                              .thread = below(3), .peak = peak};
        if (i == 0) {
            pmt_history_begin(&h, clock, all[i].rss, all[i].node, all[i].thread);
        }
        (peak ? pmt_history_peak : pmt_history_rss)(&h, clock, all[i].rss, all[i].node, all[i].thread);
    }
    size_t n = changes > 0 ? want(0, all[0]) : 0, from = 0;
    while (changes > 0 && (clock - clocks[0]) >> shift >= room) {
        shift++;
    }
    for (size_t i = 0; i < changes; i++) {
        if (i + 1 == changes || (clocks[i + 1] - clocks[0]) >> shift != (clocks[i] - clocks[0]) >> shift) {
            n = want_bucket(n, from, i + 1);
            from = i + 1;
        }
    }
    CHECK(n <= moments);
    IS(&h, n);
    pmt_history_free(&h);
}

/* What a capture may claim: a clock that goes back, a leap over the whole range, times that make no sense. */
static void impossible_times(void)
{
    pmt_history h;
    CHECK_INT(pmt_history_init(&h, 0), 0);
    CHECK_INT(h.room, 2);
    h.rate = (pmt_rate){.from = 5000, .ns = 0, .slope = NS};
    CHECK_INT((long long)pmt_history_moments(&h, got), 0);
    pmt_history_peak(&h, 9, 3000, 7, 1); /* before all: no moment */
    CHECK_INT((long long)pmt_history_moments(&h, got), 0);
    pmt_history_begin(&h, 5000, 10, 1, 1);
    pmt_history_rss(&h, 5000, 10, 1, 1);
    pmt_history_rss(&h, 100, 30, 2, 1);
    pmt_history_rss(&h, UINT64_C(1) << 62, 20, 3, 1);
    h.rate.slope = -1e300;
    pmt_history_rss(&h, UINT64_C(1) << 62, 40, 4, 1);
    size_t n = pmt_history_moments(&h, got);
    CHECK(n >= 4 && n <= PMT_MIN_MOMENTS);
    for (size_t i = 1; i < n; i++) {
        CHECK(got[i].ns >= got[i - 1].ns);
    }
    CHECK_INT(got[n - 1].rss, 40);
    CHECK_INT(pmt_history_at_peak(&h, 7, 0), 2990); /* the peak is above all */
    pmt_history_free(&h);
    CHECK_INT(pmt_history_init(&h, UINT32_MAX), 0);
    CHECK(h.room * PMT_MOMENTS_OF_BUCKET < PMT_MAX_MOMENTS);
    pmt_history_free(&h);
}

/* --- at the peak ----------------------------------------------------------------------------------------------------- */

static int64_t net[NODES], held[NODES];

static void at_the_peak(unsigned round)
{
    pmt_history h;
    int64_t rss = 5000, first = rss, best = rss, sum = 0;
    unsigned nodes = 1 + below(NODES), rises = 1 + below(99);
    memset(net, 0, sizeof net);
    memset(held, 0, sizeof held);
    CHECK_INT(pmt_history_init(&h, 64), 0);
    pmt_history_begin(&h, 0, rss, 1, 1);
    pmt_history_rss(&h, 0, rss, 1, 1);
    for (unsigned i = 0; i < round * 100; i++) {
        uint32_t node = below(nodes);
        int64_t change = (int64_t)below(200) - (int64_t)rises;
        int64_t bytes = rss + (int64_t)below(2000);
        if (below(30) == 0) { /* a temporary, given back */
            pmt_history_peak(&h, i, bytes, node, 1);
            if (bytes > best) {
                best = bytes;
                memcpy(held, net, sizeof net);
                held[node] += bytes - rss;
            }
        }
        net[node] += change;
        rss += change;
        pmt_history_charge(&h, node, change);
        pmt_history_rss(&h, i, rss, node, 1);
        if (rss > best) {
            best = rss;
            memcpy(held, net, sizeof net);
        }
    }
    unsigned bad = 0;
    for (uint32_t node = 0; node < NODES; node++) {
        bad += pmt_history_at_peak(&h, node, net[node]) != held[node];
        sum += pmt_history_at_peak(&h, node, net[node]);
    }
    CHECK_INT(bad, 0);
    CHECK_INT(sum, best - first);
    CHECK_INT(h.best, best);
    pmt_history_free(&h);
}

int main(void)
{
    for (unsigned round = 0; round < 200; round++) {
        over_time(round);
    }
    impossible_times();
    for (unsigned round = 0; round < 100; round++) {
        at_the_peak(round);
    }
    return check_done();
}
