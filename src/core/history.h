/* core/history.h - RSS over time, and what was held at its peak, noted while the tree is built. One thread; no Python.
 *
 * Time is cut into buckets of equal width, which doubles when the last one is full: memory is bounded whatever the
 * recording's length, and every bucket has its extremes exactly. (`pmt_timeline` of clock.h turns clocks into seconds.) */
#ifndef PMT_HISTORY_H
#define PMT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMT_MOMENTS_OF_BUCKET 4u
#define PMT_MIN_MOMENTS 16u
#define PMT_MAX_MOMENTS (1u << 20)

typedef struct pmt_rate {    /* of a block: its time ... */
    uint64_t from;           /* ... begins at this clock, ... */
    double ns, slope;        /* ... since the recording began; nanoseconds a clock unit */
} pmt_rate;

typedef struct pmt_moment {
    double ns;               /* since the recording began */
    int64_t rss;             /* bytes; of a peak: the peak */
    uint32_t node;           /* of the tree: what had run until then */
    uint32_t thread;         /* the kernel's number of the thread; 0: unknown */
    bool peak;               /* a temporary between two events, not RSS */
} pmt_moment;

typedef struct pmt_bucket {
    pmt_moment least, most;  /* of RSS; of equals the first */
    pmt_moment last;         /* RSS stays so until the next bucket that is used */
    pmt_moment peak;         /* the largest; rss 0: none */
    bool used;               /* it has the first three */
} pmt_bucket;

typedef struct pmt_since {   /* of a node */
    int64_t bytes;           /* charged since the highest RSS so far, if that was ... */
    uint64_t best;           /* ... this one */
} pmt_since;

typedef struct pmt_history {
    pmt_moment start;        /* the first of all */
    pmt_bucket *buckets;     /* owned */
    uint32_t room;           /* even */
    unsigned shift;          /* a bucket is 1 << shift clock units wide */
    bool begun;              /* there was a first event ... */
    uint64_t first;          /* ... at this clock */
    pmt_rate rate;           /* of the block at hand; the tree's to set */
    int64_t rss, best;       /* now, and the highest RSS or peak so far; bytes */
    uint64_t bests;          /* how many there were */
    int64_t temporary;       /* what `best` is above RSS then: 0 but where it is a peak, ... */
    uint32_t temporary_of;   /* ... seen while this node was on top */
    pmt_since *since;        /* by node; owned */
    uint32_t since_room;
    bool no_memory;          /* so that it is not all there */
} pmt_history;

int pmt_history_init(pmt_history *h, uint32_t moments); /* at most so many, in their limits; 0 or -ENOMEM */
void pmt_history_free(pmt_history *h);                  /* a zeroed one is fine */

/* Called by the tree. node: what ran until now. */
void pmt_history_begin(pmt_history *h, uint64_t clock, int64_t rss, uint32_t node, uint32_t thread); /* the first event */
void pmt_history_charge(pmt_history *h, uint32_t node, int64_t bytes); /* before the RSS that brings it is noted */
void pmt_history_rss(pmt_history *h, uint64_t clock, int64_t rss, uint32_t node, uint32_t thread);
void pmt_history_peak(pmt_history *h, uint64_t clock, int64_t bytes, uint32_t node, uint32_t thread);

/* Of the bytes charged to a node, `net`, those up to the moment of the highest RSS or peak. Their sum over all nodes is that
 * highest one - rss_first: what a peak is above RSS counts for the node that was on top. */
int64_t pmt_history_at_peak(const pmt_history *h, uint32_t node, int64_t net);

/* All moments in order of time into out[], which has room for as many as init was told; how many there are. */
size_t pmt_history_moments(const pmt_history *h, pmt_moment *out);

static inline double pmt_rate_ns(const pmt_rate *r, uint64_t clock)
{
    return r->ns + (double)(int64_t)(clock - r->from) * r->slope;
}

#endif
