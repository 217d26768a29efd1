/* core/gate.h - can RSS have changed since it was last read?
 *
 * RSS changes only through the kernel, and the cheapest change costs a number of ticks that is measured on this
 * machine. If less has passed since this thread's last event, the thread cannot have changed RSS by its own doing and
 * the reading is skipped. Two safeguards: a reading is never older than `stale`, and a random one in 1,024 skipped
 * readings is made anyway and compared (the audit; one in 8,192 when a thousand were).
 *
 * A core may run faster later than it did when it was measured. Every reading goes through the same kernel and its
 * duration is known for nothing, so a reading faster than any before lowers the threshold in proportion.
 *
 * Everything is touched under the GIL only, but for `threshold`, which the writer lowers too. */
#ifndef PMT_GATE_H
#define PMT_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

#define PMT_GATE_SAFETY 0.9       /* of the cheapest change: room for what the calibration did not see */
#define PMT_GATE_AUDIT 1024u      /* one skipped reading in this many is made anyway, on average */
#define PMT_GATE_AUDITED 1024u    /* after so many of these ... */
#define PMT_GATE_AUDIT_LATER 8192u /* ... one in this many: they were half of all readings of long recordings */
#define PMT_GATE_PEAK 16u         /* intervals longer than this many cheapest changes are asked for their peak too */
#define PMT_STALE_US 100          /* the least staleness bound, microseconds */
#define PMT_STALE_READINGS 200    /* and at least so many times the cost of a reading */

typedef enum pmt_gate_answer { PMT_GATE_SKIP, PMT_GATE_READ, PMT_GATE_CHECK } pmt_gate_answer;

typedef struct pmt_gate {
    _Atomic uint64_t threshold; /* ticks; 0: the gate is off, every event is read */
    uint64_t stale;             /* ticks */
    uint64_t read_at;           /* ticks: when RSS was last read */
    uint64_t peak_after;        /* ticks: an interval longer than this may hide a temporary */
    uint32_t audit_left;        /* skipped readings until the next audit */
    uint32_t random;            /* xorshift state, never 0 */
    uint64_t readings, audit_tried, audit_differed;
    uint64_t first;             /* threshold at the start, ticks */
    uint64_t cheapest;          /* ticks of the cheapest change at the start */
    double ticks_per_second;
    uint64_t reading;           /* ticks of the fastest reading so far */
    double zero_ratio;          /* cheapest change / cheapest fault that changes nothing, at the start */
    double reading_ratio;       /* cheapest change / fastest reading, both in the same moment; 0: not known */
    const char *off_why;        /* NULL, or why it is off */
} pmt_gate;

typedef struct pmt_rss pmt_rss;

/* Why the gate has to stay off, NULL: it need not. env: PYMEMTRACE_GATE, may be NULL. */
const char *pmt_gate_off_why(const pmt_clock *c, const char *env);
/* Measures this machine (about a millisecond). off_why: NULL, or the reason to leave the gate off. */
void pmt_gate_init(pmt_gate *g, pmt_clock *c, pmt_rss *rss, const char *off_why);
void pmt_gate_like(pmt_gate *g, const pmt_gate *other); /* what was measured for the other, on this machine; counters at 0 */
void pmt_gate_again(pmt_gate *g, pmt_clock *c); /* writer thread: lowers the threshold if this machine got faster */
void pmt_gate_faster(pmt_gate *g, uint64_t reading); /* a reading took fewer ticks than any before */
double pmt_gate_reading_us(pmt_clock *c, pmt_rss *rss, int rounds); /* median-ish cost of a reading, microseconds */

static inline uint32_t pmt_gate_next_audit(pmt_gate *g)
{
    uint32_t x = g->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    g->random = x;
    uint32_t every = g->audit_tried < PMT_GATE_AUDITED ? PMT_GATE_AUDIT : PMT_GATE_AUDIT_LATER;
    return 1 + (x & (2 * every - 1));
}

/* RSS was read between the two moments, in ticks. */
static inline void pmt_gate_was_read(pmt_gate *g, uint64_t begin, uint64_t end)
{
    g->read_at = end;
    g->readings++;
    if (__builtin_expect(end - begin < g->reading, 0)) {
        pmt_gate_faster(g, end - begin);
    }
}

/* now: ticks at this event; last: ticks at this thread's last event, or after its last reading. A clock that went
 * backwards (another core's) gives a huge difference: it reads. */
static inline pmt_gate_answer pmt_gate_ask(pmt_gate *g, uint64_t now, uint64_t last)
{
    /* relaxed: a threshold that is one event old is as true as the one measured a moment later. */
    if (now - last >= atomic_load_explicit(&g->threshold, memory_order_relaxed) || now - g->read_at >= g->stale) {
        return PMT_GATE_READ;
    }
    if (__builtin_expect(--g->audit_left == 0, 0)) {
        g->audit_left = pmt_gate_next_audit(g);
        return PMT_GATE_CHECK;
    }
    return PMT_GATE_SKIP;
}

#endif
