/* DESIGN: head and tail are counts of words that never wrap; the mask makes positions of them. The producer compares
 * head with `limit` once a record, and looks at tail only when it is passed: every 64 KiB, or when the ring is full.
 * Sleeping is the classic pair of flag and index on both sides: each sets its flag, then looks at the other's index
 * (sequentially consistent), so that one of the two always sees the other. All waits are bounded as well. */
#include "core/ring.h"

#include <errno.h>
#include <string.h>

#include "core/futex.h"

#define PRODUCER_WAIT_NS 50000000 /* a bound only: the writer wakes the producer */

int pmt_ring_init(pmt_ring *r, pmt_arena *a, uint32_t words)
{
    memset(r, 0, sizeof *r);
    r->words = pmt_arena_map(a, (size_t)words * 8);
    if (r->words == NULL) {
        return -errno;
    }
    r->mask = words - 1;
    return 0;
}

void pmt_ring_free(pmt_ring *r, pmt_arena *a)
{
    if (r->words != NULL) {
        pmt_arena_unmap(a, r->words, (size_t)(r->mask + 1) * 8);
        r->words = NULL;
    }
}

void pmt_ring_wake(pmt_ring *r)
{
    if (atomic_exchange(&r->asleep, 0) != 0) {
        pmt_futex_wake(&r->asleep);
    }
}

bool pmt_ring_drained(const pmt_ring *r)
{
    /* acquire, pairs with the release in pop: what the writer did with the words is done. */
    return atomic_load_explicit(&r->tail, memory_order_acquire) ==
           atomic_load_explicit(&r->head, memory_order_relaxed);
}

void pmt_ring_make_room(pmt_ring *r, uint32_t n)
{
    int saved = errno; /* the program's errno must not change under it */
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed), size = r->mask + 1;
    /* acquire, pairs with the release in pop: the writer is done reading the words we reuse. */
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head != tail) {
        pmt_ring_wake(r);
    }
    if (head + n - tail > size) {
        r->waits++;
        do {
            atomic_store(&r->full, 1);
            tail = atomic_load(&r->tail);
            if (head + n - tail > size) {
                pmt_ring_wake(r);
                pmt_futex_wait(&r->full, 1, PRODUCER_WAIT_NS);
                tail = atomic_load_explicit(&r->tail, memory_order_acquire);
            }
        } while (head + n - tail > size);
        atomic_store_explicit(&r->full, 0, memory_order_relaxed);
    }
    uint64_t look = (head / PMT_RING_CHUNK + 1) * PMT_RING_CHUNK;
    look = look < head + n ? head + n : look;
    r->limit = look < tail + size ? look : tail + size;
    errno = saved;
}

void pmt_ring_sleep(pmt_ring *r, uint64_t seen, const _Atomic uint32_t *hurry, int64_t ns)
{
    atomic_store(&r->asleep, 1);
    /* Only a whole chunk is worth waking for; what is less waits for the time-out. */
    if (atomic_load(&r->head) - seen < PMT_RING_CHUNK && atomic_load(hurry) == 0) {
        pmt_futex_wait(&r->asleep, 1, ns);
    }
    atomic_store_explicit(&r->asleep, 0, memory_order_relaxed);
}

void pmt_ring_pop(pmt_ring *r, uint64_t tail)
{
    /* release: our reads of the words happen before the producer may overwrite them. */
    atomic_store(&r->tail, tail);
    if (atomic_load(&r->full) != 0) {
        atomic_store(&r->full, 0);
        pmt_futex_wake(&r->full);
    }
}
