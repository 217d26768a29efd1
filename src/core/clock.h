/* core/clock.h - ticks: cycles of the TSC, or nanoseconds of CLOCK_MONOTONIC where the TSC cannot be trusted.
 *
 * The log's clock is ticks >> 6. Pairs of (clock, monotonic nanoseconds) turn it into seconds: each block of events is
 * converted between the pair before it and its own, so that no rate is ever extrapolated for long. */
#ifndef PMT_CLOCK_H
#define PMT_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "platform/tsc.h"

typedef enum pmt_clock_kind { PMT_CLOCK_TSC, PMT_CLOCK_MONOTONIC, PMT_CLOCK_FAKE } pmt_clock_kind;

#define PMT_CLOCK_SHIFT 6 /* 64 cycles, 25 ns at 2.5 GHz: most times between two events fit into six bits */

typedef struct pmt_clock {
    pmt_clock_kind kind;
    uint64_t fake_step;         /* PMT_CLOCK_FAKE: each reading is this much later; a tick is a nanosecond */
    _Atomic uint64_t fake_now;
} pmt_clock;

typedef struct pmt_pair {
    uint64_t clock; /* ticks >> PMT_CLOCK_SHIFT */
    int64_t ns;     /* CLOCK_MONOTONIC */
} pmt_pair;

#define PMT_NS_LIMIT (INT64_C(1) << 61) /* three of them can be added up; more is no time */

void pmt_clock_init(pmt_clock *c, const char *name);  /* NULL or "": the TSC if it can be trusted; "monotonic"; "fake:N" */
const char *pmt_clock_name(const pmt_clock *c);
uint64_t pmt_clock_slow(pmt_clock *c);
pmt_pair pmt_clock_pair(pmt_clock *c);
double pmt_clock_ticks_per_second(pmt_clock *c);      /* measured over about a millisecond */
int64_t pmt_clock_monotonic_ns(void);
uint64_t pmt_process_start_ticks(long pid);            /* since boot, as in proc_pid_stat(5); 0: no such process */
int64_t pmt_clock_process_start_ns(void);             /* on CLOCK_MONOTONIC; 10 ms resolution (proc_pid_stat(5)) */

static inline uint64_t pmt_clock_ticks(pmt_clock *c)
{
    return __builtin_expect(c->kind == PMT_CLOCK_TSC, 1) ? pmt_tsc_read() : pmt_clock_slow(c);
}

/* From clock to microseconds since the process started, never backwards. One thread (the writer's). */
typedef struct pmt_timeline {
    pmt_pair from;     /* the pair before the block */
    double slope;      /* nanoseconds a clock unit within the block */
    int64_t start_ns;  /* process start */
    int64_t last_us;
} pmt_timeline;

void pmt_timeline_init(pmt_timeline *t, pmt_pair first, int64_t process_start_ns);
void pmt_timeline_block(pmt_timeline *t, pmt_pair end);  /* before a block's rows: its own pair */
void pmt_timeline_done(pmt_timeline *t, pmt_pair end);   /* after them */

/* Never backwards, for microseconds that are known already. */
static inline int64_t pmt_timeline_rise(pmt_timeline *t, int64_t us)
{
    t->last_us = us > t->last_us ? us : t->last_us;
    return t->last_us;
}

static inline int64_t pmt_timeline_us(pmt_timeline *t, uint64_t clock)
{
    double ns = (double)(int64_t)(clock - t->from.clock) * t->slope, most = (double)PMT_NS_LIMIT;
    ns = ns < most ? ns : most; /* NaN too: what is read back may hold anything */
    ns = ns > -most ? ns : -most;
    return pmt_timeline_rise(t, (t->from.ns - t->start_ns + (int64_t)ns) / 1000);
}

#endif
