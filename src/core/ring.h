/* core/ring.h - one producer (whichever traced thread holds the GIL), one consumer (the writer thread).
 *
 * push: under the GIL only; waits while the ring is full, with the GIL held: the writer needs no GIL, so there is no
 * deadlock. Nothing is ever dropped. peek, pop, sleep: writer thread only. Nothing allocates after pmt_ring_init. */
#ifndef PMT_RING_H
#define PMT_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

#define PMT_RING_WORDS (1u << 17) /* 1 MiB: from 512 KiB to 16 MiB all are equal within noise (Zen 4, 2026-11) */
#define PMT_RING_CHUNK (1u << 13) /* 64 KiB: how often the producer looks up and the writer is woken */

_Static_assert((PMT_RING_WORDS & (PMT_RING_WORDS - 1)) == 0, "the ring's mask needs a power of two");

typedef struct pmt_ring {
    uint64_t *words;                    /* owned; resident */
    uint64_t mask;                      /* number of words - 1; constant */
    alignas(64) _Atomic uint64_t head;  /* written by the producer, read by the writer */
    uint64_t limit;                     /* producer only: beyond this position it has to look up */
    uint64_t waits;                     /* producer only: how often it found the ring full */
    alignas(64) _Atomic uint64_t tail;  /* written by the writer, read by the producer */
    alignas(64) _Atomic uint32_t asleep; /* futex: 1 while the writer sleeps */
    _Atomic uint32_t full;               /* futex: 1 while the producer waits */
} pmt_ring;

int pmt_ring_init(pmt_ring *r, pmt_arena *a, uint32_t words);  /* 0 or -errno; words is a power of two */
void pmt_ring_free(pmt_ring *r, pmt_arena *a);                 /* both threads must have stopped; a zeroed ring is fine */

/* Producer, out of line: wakes a sleeping writer, waits until n words fit. */
void pmt_ring_make_room(pmt_ring *r, uint32_t n);
void pmt_ring_wake(pmt_ring *r);                               /* either side: the writer looks at once */
bool pmt_ring_drained(const pmt_ring *r);

/* Writer: sleeps until woken, until a chunk beyond `seen` is there, `hurry` is set, or for `ns` nanoseconds. */
void pmt_ring_sleep(pmt_ring *r, uint64_t seen, const _Atomic uint32_t *hurry, int64_t ns);
void pmt_ring_pop(pmt_ring *r, uint64_t tail);                 /* everything before `tail` may be overwritten */

static inline void pmt_ring_room(pmt_ring *r, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* only we write it */
    if (__builtin_expect(head + n > r->limit, 0)) {
        pmt_ring_make_room(r, n);
    }
}

/* After pmt_ring_room(n). Masked word by word: a record may wrap. */
static inline void pmt_ring_push(pmt_ring *r, const uint64_t *words, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        r->words[(head + i) & r->mask] = words[i];
    }
    /* release: the record is visible before the index that announces it. */
    atomic_store_explicit(&r->head, head + n, memory_order_release);
}

#endif
