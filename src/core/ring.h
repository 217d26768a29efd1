/* core/ring.h - one producer (whichever traced thread holds the GIL), one consumer (the writer thread).
 *
 * push: under the GIL only; waits while the ring is full, with the GIL held: the writer needs no GIL, so there is no
 * deadlock. Nothing is ever dropped. sleep, pop, keep: writer thread only. Nothing allocates after pmt_ring_init.
 *
 * The mapping is a file where there is one: its pages outlive a killed process, and core/recover.c reads them. What the
 * writer has done is noted in one of two checkpoints, and counts from the moment at which `chosen` names it. */
#ifndef PMT_RING_H
#define PMT_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"

#define PMT_RING_WORDS (1u << 17) /* 1 MiB: from 512 KiB to 16 MiB all are equal within noise (Zen 4, 2026-11) */
#define PMT_RING_CHUNK (1u << 13) /* 64 KiB: how often the producer looks up and the writer is woken */

_Static_assert((PMT_RING_WORDS & (PMT_RING_WORDS - 1)) == 0, "the ring's mask needs a power of two");

#define PMT_RING_MAGIC "PMTRING1"
#define PMT_RING_HEADER 4096u /* bytes before the words */

typedef struct pmt_checkpoint { /* what is in the files, and how a sink goes on from there */
    uint64_t tail;              /* words that are in the output */
    int64_t output, definitions; /* sizes of the output and of the file of definitions, bytes */
    uint64_t event, clock, rss, next_shown, rows;
    int64_t rss_shown;
    uint32_t thread, tid_shown, tid_known;
    uint32_t ended;             /* 1: the end is written, all is done */
    uint64_t segment;           /* --keep: number of the segment at hand, `definitions` is its size; 0: none */
    pmt_timeline timeline;
} pmt_checkpoint;

/* The first page of the mapping. */
typedef struct pmt_ring_shared {
    char magic[8];
    uint32_t version, bytes;            /* of the recorder's layout; of the header page */
    uint64_t words;                     /* a power of two */
    uint32_t pid, format;               /* format: pmt_ring_format */
    uint64_t output_dev, output_ino;    /* the file that it belongs to */
    uint64_t pid_start;                 /* field 22 of /proc/PID/stat: tells the process from a later one of that PID */
    int64_t process_start_ns;
    pmt_pair first;                     /* clock pair at the start */
    double ns_per_clock;
    uint32_t page, comments;
    int64_t keep;                       /* pmt_source.keep, bytes; 0: no segments */
    alignas(64) _Atomic uint64_t head;  /* written by the producer, read by the writer */
    alignas(64) _Atomic uint64_t tail;  /* written by the writer, read by the producer */
    alignas(64) _Atomic uint32_t asleep; /* futex: 1 while the writer sleeps */
    _Atomic uint32_t full;               /* futex: 1 while the producer waits */
    alignas(64) _Atomic uint32_t chosen; /* the checkpoint that holds */
    pmt_checkpoint checkpoints[2];
} pmt_ring_shared;

typedef enum pmt_ring_format { PMT_RING_ALL, PMT_RING_PREVIOUS, PMT_RING_CAPTURE } pmt_ring_format;

_Static_assert(sizeof(pmt_ring_shared) <= PMT_RING_HEADER, "the header is one page");

typedef struct pmt_ring {
    pmt_ring_shared *s;                 /* owned; resident; the words follow it */
    uint64_t *words;
    uint64_t mask;                      /* number of words - 1; constant */
    uint64_t limit;                     /* producer only: beyond this position it has to look up */
    uint64_t waits;                     /* producer only: how often it found the ring full */
} pmt_ring;

/* words: a power of two. fd: a new file of this process, or -1: anonymous. 0 or -errno (-ENOSPC: no room for the file). */
int pmt_ring_init(pmt_ring *r, pmt_arena *a, uint32_t words, int fd);
void pmt_ring_ready(pmt_ring *r);                              /* its header is filled in: it can be recovered */
void pmt_ring_free(pmt_ring *r, pmt_arena *a);                 /* both threads must have stopped; a zeroed ring is fine */
void pmt_ring_keep(pmt_ring *r, const pmt_checkpoint *c);      /* writer: this holds from now on */

/* Producer, out of line: wakes a sleeping writer, waits until n words fit. */
void pmt_ring_make_room(pmt_ring *r, uint32_t n);
void pmt_ring_wake(pmt_ring *r);                               /* either side: the writer looks at once */
bool pmt_ring_drained(const pmt_ring *r);

/* Writer: sleeps until woken, until a chunk beyond `seen` is there, `hurry` is set, or for `ns` nanoseconds. */
void pmt_ring_sleep(pmt_ring *r, uint64_t seen, const _Atomic uint32_t *hurry, int64_t ns);
void pmt_ring_pop(pmt_ring *r, uint64_t tail);                 /* everything before `tail` may be overwritten */

static inline void pmt_ring_room(pmt_ring *r, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->s->head, memory_order_relaxed); /* only we write it */
    if (__builtin_expect(head + n > r->limit, 0)) {
        pmt_ring_make_room(r, n);
    }
}

/* After pmt_ring_room(n). Masked word by word: a record may wrap. */
static inline void pmt_ring_push(pmt_ring *r, const uint64_t *words, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->s->head, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        r->words[(head + i) & r->mask] = words[i];
    }
    /* release: the record is visible before the index that announces it. */
    atomic_store_explicit(&r->s->head, head + n, memory_order_release);
}

#endif
