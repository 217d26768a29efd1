/* DESIGN: the cheapest changes of RSS are giving back one anonymous page, writing one anew, and a fault-around on a
 * cached file (which of them is cheapest differs by processor), so all three are timed and the least is kept. Later
 * calibrations run in the writer thread while the program runs, and must not move the RSS which is being measured:
 * they time a fault that changes nothing (reading a fresh page maps the shared page of zeros) and scale it. */
#include "core/gate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "platform/rss.h"

#define ROUNDS 200

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t time_anonymous(pmt_clock *c, size_t page)
{
    uint64_t best = UINT64_MAX;
    char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return best;
    }
    for (int i = 0; i < ROUNDS; i++) {
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

static uint64_t time_file(pmt_clock *c, size_t page)
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
    for (int i = 0; i < ROUNDS / 4; i++) {
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

void pmt_gate_init(pmt_gate *g, pmt_clock *c, pmt_rss *rss, const char *off_why)
{
    memset(g, 0, sizeof *g);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (getrandom(&g->random, sizeof g->random, GRND_NONBLOCK) != sizeof g->random || g->random == 0) {
        g->random = 2463534242u;
    }
    g->audit_left = pmt_gate_next_audit(g);
    if (c->kind == PMT_CLOCK_FAKE) { /* a machine made up by a test: a change costs 2,000 ticks */
        g->cheapest = 2000;
        g->zero_ratio = 0;
    }
    else {
        g->cheapest = least(time_anonymous(c, page), time_file(c, page));
        g->zero_ratio = (double)g->cheapest / (double)time_zero_page(c, ROUNDS / 2);
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

void pmt_gate_again(pmt_gate *g, pmt_clock *c)
{
    uint64_t now = atomic_load_explicit(&g->threshold, memory_order_relaxed);
    if (now == 0 || g->zero_ratio <= 0) {
        return;
    }
    double change = (double)time_zero_page(c, ROUNDS / 4) * g->zero_ratio;
    uint64_t threshold = (uint64_t)(change * PMT_GATE_SAFETY);
    if (threshold > 0 && threshold < now) {
        atomic_store_explicit(&g->threshold, threshold, memory_order_relaxed);
    }
}
