#include "core/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t pmt_clock_monotonic_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

void pmt_clock_init(pmt_clock *c, const char *name)
{
    memset(c, 0, sizeof *c);
    c->kind = pmt_tsc_invariant() ? PMT_CLOCK_TSC : PMT_CLOCK_MONOTONIC;
    if (name != NULL && strcmp(name, "monotonic") == 0) {
        c->kind = PMT_CLOCK_MONOTONIC;
    }
    else if (name != NULL && strncmp(name, "fake:", 5) == 0) {
        c->kind = PMT_CLOCK_FAKE;
        c->fake_step = strtoull(name + 5, NULL, 10);
        atomic_store_explicit(&c->fake_now, 1000000, memory_order_relaxed);
    }
}

const char *pmt_clock_name(const pmt_clock *c)
{
    return c->kind == PMT_CLOCK_TSC ? "tsc" : c->kind == PMT_CLOCK_MONOTONIC ? "monotonic" : "fake";
}

uint64_t pmt_clock_slow(pmt_clock *c)
{
    if (c->kind == PMT_CLOCK_FAKE) {
        return atomic_fetch_add_explicit(&c->fake_now, c->fake_step, memory_order_relaxed) + c->fake_step;
    }
    return (uint64_t)now_ns(CLOCK_MONOTONIC);
}

pmt_pair pmt_clock_pair(pmt_clock *c)
{
    pmt_pair best = {0, 0};
    if (c->kind == PMT_CLOCK_FAKE) { /* looking must not move it: the traced thread counts on its steps */
        uint64_t now = atomic_load_explicit(&c->fake_now, memory_order_relaxed);
        return (pmt_pair){now >> PMT_CLOCK_SHIFT, (int64_t)now};
    }
    if (c->kind == PMT_CLOCK_MONOTONIC) {
        int64_t ns = now_ns(CLOCK_MONOTONIC);
        return (pmt_pair){(uint64_t)ns >> PMT_CLOCK_SHIFT, ns};
    }
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < 4; i++) { /* the narrowest of four: an interrupt between the readings widens one */
        uint64_t before = pmt_tsc_read();
        int64_t ns = now_ns(CLOCK_MONOTONIC);
        uint64_t width = pmt_tsc_read() - before;
        if (width < narrowest) {
            narrowest = width;
            best = (pmt_pair){(before + width / 2) >> PMT_CLOCK_SHIFT, ns};
        }
    }
    return best;
}

double pmt_clock_ticks_per_second(pmt_clock *c)
{
    if (c->kind != PMT_CLOCK_TSC) {
        return 1e9;
    }
    pmt_pair a = pmt_clock_pair(c), b = a;
    while (b.ns - a.ns < 1000000) {
        b = pmt_clock_pair(c);
    }
    return (double)(b.clock - a.clock) * (1 << PMT_CLOCK_SHIFT) * 1e9 / (double)(b.ns - a.ns);
}

uint64_t pmt_process_start_ticks(long pid)
{
    char text[1024], path[48];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    char *p = strrchr(text, ')'); /* the name of the program may hold anything */
    bool dead = p != NULL && (p[2] == 'Z' || p[2] == 'X'), alone = false;
    for (int field = 2; p != NULL && field < 22; field++) {
        p = strchr(p + 1, ' ');
        alone = field + 1 == 20 && p != NULL ? strtol(p, NULL, 10) <= 1 : alone;
    }
    /* One that nobody has waited for is dead, unless it is only its first thread that has ended. */
    return p == NULL || (dead && alone) ? 0 : strtoull(p, NULL, 10);
}

int64_t pmt_clock_process_start_ns(void)
{
    int64_t ticks = (int64_t)pmt_process_start_ticks((long)getpid()), a_tick = 1000000000 / sysconf(_SC_CLK_TCK);
    /* Ticks since boot, suspend included. One after the other: what delays this between them makes every clock late. */
    int64_t now = now_ns(CLOCK_MONOTONIC), age = ticks == 0 ? 0 : now_ns(CLOCK_BOOTTIME) - ticks * a_tick;
    return now - (age > 0 ? age : 0);
}

void pmt_timeline_init(pmt_timeline *t, pmt_pair first, int64_t process_start_ns)
{
    *t = (pmt_timeline){.from = first, .slope = 0, .start_ns = process_start_ns, .last_us = 0};
}

void pmt_timeline_block(pmt_timeline *t, pmt_pair end)
{
    if (end.clock > t->from.clock) {
        t->slope = (double)(end.ns - t->from.ns) / (double)(end.clock - t->from.clock);
    }
}

void pmt_timeline_done(pmt_timeline *t, pmt_pair end)
{
    if (end.clock > t->from.clock) {
        t->from = end;
    }
}
