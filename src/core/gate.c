/* DESIGN: the cheapest changes of RSS are giving back one anonymous page, writing one anew, and a fault-around on a
 * cached file (which of them is cheapest differs by processor), so all three are timed and the least is kept. Later
 * calibrations run in the writer thread while the program runs, and must not move the RSS which is being measured:
 * they time a fault that changes nothing (reading a fresh page maps the shared page of zeros) and scale it. Between
 * them the readings themselves are the yardstick: the kernel's work for one and for a change keep their ratio when the
 * core's speed changes (docs/performance.md), so it is measured in the same moments, and the threshold scaled by it. */
#include "core/gate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "platform/rss.h"

#define ROUNDS 200
#define TURNS 8 /* in which changes and readings take turns */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Ticks of the cheapest change of one anonymous page, UINT64_MAX without memory. */
static uint64_t time_anonymous(pmt_clock *c, size_t page, int rounds)
{
    uint64_t best = UINT64_MAX;
    char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return best;
    }
    for (int i = 0; i < rounds; i++) {
        uint64_t t0 = pmt_clock_ticks(c);
        *(volatile char *)p = 1;
        uint64_t t1 = pmt_clock_ticks(c);
        madvise(p, page, MADV_DONTNEED);
        uint64_t t2 = pmt_clock_ticks(c);
        best = least(best, least(t1 - t0, t2 - t1));
    }
    munmap(p, page);
    return best;
}

static uint64_t time_reading(pmt_clock *c, pmt_rss *rss, int rounds)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < rounds; i++) {
        uint64_t t0 = pmt_clock_ticks(c);
        (void)pmt_rss_read(rss);
        best = least(best, pmt_clock_ticks(c) - t0);
    }
    return best;
}

static uint64_t time_file(pmt_clock *c, size_t page, int rounds)
{
    uint64_t best = UINT64_MAX;
    size_t bytes = 16 * page; /* what one fault brings in: the kernel's fault-around */
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return best;
    }
    char *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        return best;
    }
    for (int i = 0; i < rounds; i++) {
        uint64_t t0 = pmt_clock_ticks(c);
        (void)*(volatile char *)p; /* the first page of a running program is in the page cache and in the file */
        uint64_t t1 = pmt_clock_ticks(c);
        madvise(p, bytes, MADV_DONTNEED);
        best = least(best, t1 - t0);
    }
    munmap(p, bytes);
    return best;
}

static uint64_t time_zero_page(pmt_clock *c, int rounds)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t best = UINT64_MAX;
    char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return best;
    }
    for (int i = 0; i < rounds; i++) {
        uint64_t t0 = pmt_clock_ticks(c);
        (void)*(volatile char *)p;
        best = least(best, pmt_clock_ticks(c) - t0);
        madvise(p, page, MADV_DONTNEED);
    }
    munmap(p, page);
    return best;
}

double pmt_gate_reading_us(pmt_clock *c, pmt_rss *rss, int rounds)
{
    int64_t best = INT64_MAX;
    for (int batch = 0; batch < 4; batch++) {
        int64_t before = pmt_clock_monotonic_ns();
        for (int i = 0; i < rounds; i++) {
            (void)pmt_rss_read(rss);
        }
        int64_t ns = pmt_clock_monotonic_ns() - before;
        best = ns < best ? ns : best;
    }
    (void)c;
    return (double)best / rounds / 1000.0;
}

const char *pmt_gate_off_why(const pmt_clock *c, const char *env)
{
    if (env != NULL && strcmp(env, "off") == 0) {
        return "PYMEMTRACE_GATE=off";
    }
    if (c->kind != PMT_CLOCK_MONOTONIC) {
        return NULL;
    }
    return pmt_tsc_invariant() ? "PYMEMTRACE_CLOCK=monotonic" : "the TSC is not invariant";
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Changes and readings in turns: each turn sees both at one speed of the core, and the median of the turns' ratios is not
 * moved by one in which the speed changed. Readings apart from the changes, since one just after madvise is slower. */
static void measure(pmt_gate *g, pmt_clock *c, pmt_rss *rss, size_t page)
{
    double ratio[TURNS];
    g->cheapest = g->reading = UINT64_MAX;
    for (int i = 0; i < TURNS; i++) {
        uint64_t change = least(time_anonymous(c, page, ROUNDS / TURNS), time_file(c, page, ROUNDS / TURNS / 4));
        uint64_t reading = time_reading(c, rss, ROUNDS / TURNS);
        g->cheapest = least(g->cheapest, change);
        g->reading = least(g->reading, reading);
        ratio[i] = (double)change / (double)reading;
    }
    qsort(ratio, TURNS, sizeof ratio[0], by_value);
    g->reading_ratio = ratio[TURNS / 2];
    g->zero_ratio = (double)g->cheapest / (double)time_zero_page(c, ROUNDS / 2);
}

void pmt_gate_init(pmt_gate *g, pmt_clock *c, pmt_rss *rss, const char *off_why)
{
    memset(g, 0, sizeof *g);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (getrandom(&g->random, sizeof g->random, GRND_NONBLOCK) != sizeof g->random || g->random == 0) {
        g->random = 2463534242u;
    }
    g->audit_left = pmt_gate_next_audit(g);
    if (c->kind == PMT_CLOCK_FAKE) { /* a machine made up by a test: a change costs 2,000 ticks, and nothing tells */
        g->cheapest = 2000;
    }
    else {
        measure(g, c, rss, page);
    }
    g->off_why = off_why;
    g->first = off_why != NULL ? 0 : (uint64_t)((double)g->cheapest * PMT_GATE_SAFETY);
    atomic_store_explicit(&g->threshold, g->first, memory_order_relaxed);
    g->peak_after = g->cheapest * PMT_GATE_PEAK;
    double stale_us = pmt_gate_reading_us(c, rss, 8) * PMT_STALE_READINGS;
    stale_us = stale_us > PMT_STALE_US ? stale_us : PMT_STALE_US;
    g->ticks_per_second = pmt_clock_ticks_per_second(c);
    g->stale = (uint64_t)(stale_us * 1e-6 * g->ticks_per_second);
}

void pmt_gate_like(pmt_gate *g, const pmt_gate *other)
{
    memcpy(g, other, sizeof *g);
    g->read_at = g->readings = g->audit_tried = g->audit_differed = 0;
    g->first = atomic_load_explicit(&g->threshold, memory_order_relaxed);
}

/* The threshold falls to what a cheapest change of so many ticks allows; it never rises. */
static void lower(pmt_gate *g, double change)
{
    uint64_t now = atomic_load_explicit(&g->threshold, memory_order_relaxed);
    uint64_t threshold = (uint64_t)(change * PMT_GATE_SAFETY);
    /* relaxed: the number stands for itself. Two threads lower it: the lower of the two has to stay. */
    while (threshold > 0 && threshold < now &&
           !atomic_compare_exchange_weak_explicit(&g->threshold, &now, threshold, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void pmt_gate_again(pmt_gate *g, pmt_clock *c)
{
    if (g->off_why == NULL && g->zero_ratio > 0) {
        lower(g, (double)time_zero_page(c, ROUNDS / 4) * g->zero_ratio);
    }
}

void pmt_gate_faster(pmt_gate *g, uint64_t reading)
{
    g->reading = reading;
    if (g->reading_ratio > 0) {
        lower(g, (double)reading * g->reading_ratio);
    }
}
