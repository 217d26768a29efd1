/* DESIGN: head and tail are counts of words that never wrap; the mask makes positions of them. The producer compares
 * head with `limit` once a record, and looks at tail only when it is passed: every 64 KiB, or when the ring is full.
 * Sleeping is the classic pair of flag and index on both sides: each sets its flag, then looks at the other's index
 * (sequentially consistent), so that one of the two always sees the other. All waits are bounded as well. */
#include "core/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/futex.h"
#include "core/io.h"

#define PRODUCER_WAIT_NS 50000000 /* a bound only: the writer wakes the producer */

int pmt_ring_init(pmt_ring *r, pmt_arena *a, uint32_t words, int fd)
{
    size_t bytes = PMT_RING_HEADER + (size_t)words * 8;
    memset(r, 0, sizeof *r);
    if (fd < 0) {
        r->s = pmt_arena_map(a, bytes);
    }
    else {
        /* Every page gets its place on the disk now: one that is full must not be a SIGBUS later. */
        int rc = pmt_reserve(fd, bytes);
        if (rc < 0) {
            return rc;
        }
        r->s = pmt_arena_map_file(a, bytes, fd);
    }
    if (r->s == NULL) {
        return -errno;
    }
    for (size_t at = 0; fd >= 0 && at < bytes; at += 1024) { /* a shared page's first write is a fault of its own */
        ((volatile char *)r->s)[at] = 0;
    }
    r->words = (uint64_t *)((char *)r->s + PMT_RING_HEADER);
    r->mask = words - 1;
    r->s->version = 1;
    r->s->bytes = PMT_RING_HEADER;
    r->s->words = words;
    return 0;
}

void pmt_ring_ready(pmt_ring *r)
{
    /* release: what a killed process leaves has its magic only if it has all that stands before. */
    atomic_thread_fence(memory_order_release);
    memcpy(r->s->magic, PMT_RING_MAGIC, sizeof r->s->magic);
}

void pmt_ring_free(pmt_ring *r, pmt_arena *a)
{
    pmt_arena_unmap(a, r->s, PMT_RING_HEADER + (size_t)(r->mask + 1) * 8);
    r->s = NULL;
}

void pmt_ring_keep(pmt_ring *r, const pmt_checkpoint *c)
{
    uint32_t other = 1 - (atomic_load_explicit(&r->s->chosen, memory_order_relaxed) & 1); /* only we write it */
    r->s->checkpoints[other] = *c;
    /* release: a checkpoint is whole before it is chosen, also for who reads the file after a kill. */
    atomic_store_explicit(&r->s->chosen, other, memory_order_release);
}

void pmt_ring_wake(pmt_ring *r)
{
    if (atomic_exchange(&r->s->asleep, 0) != 0) {
        pmt_futex_wake(&r->s->asleep);
    }
}

bool pmt_ring_drained(const pmt_ring *r)
{
    /* acquire, pairs with the release in pop: what the writer did with the words is done. */
    return atomic_load_explicit(&r->s->tail, memory_order_acquire) ==
           atomic_load_explicit(&r->s->head, memory_order_relaxed);
}

void pmt_ring_make_room(pmt_ring *r, uint32_t n)
{
    int saved = errno; /* the program's errno must not change under it */
    uint64_t head = atomic_load_explicit(&r->s->head, memory_order_relaxed), size = r->mask + 1;
    /* acquire, pairs with the release in pop: the writer is done reading the words we reuse. */
    uint64_t tail = atomic_load_explicit(&r->s->tail, memory_order_acquire);
    if (head != tail) {
        pmt_ring_wake(r);
    }
    if (head + n - tail > size) {
        r->waits++;
        do {
            atomic_store(&r->s->full, 1);
            tail = atomic_load(&r->s->tail);
            if (head + n - tail > size) {
                pmt_ring_wake(r);
                pmt_futex_wait(&r->s->full, 1, PRODUCER_WAIT_NS);
                tail = atomic_load_explicit(&r->s->tail, memory_order_acquire);
            }
        } while (head + n - tail > size);
        atomic_store_explicit(&r->s->full, 0, memory_order_relaxed);
    }
    uint64_t look = (head / PMT_RING_CHUNK + 1) * PMT_RING_CHUNK;
    look = look < head + n ? head + n : look;
    r->limit = look < tail + size ? look : tail + size;
    errno = saved;
}

void pmt_ring_sleep(pmt_ring *r, uint64_t seen, const _Atomic uint32_t *hurry, int64_t ns)
{
    atomic_store(&r->s->asleep, 1);
    /* Only a whole chunk is worth waking for; what is less waits for the time-out. */
    if (atomic_load(&r->s->head) - seen < PMT_RING_CHUNK && atomic_load(hurry) == 0) {
        pmt_futex_wait(&r->s->asleep, 1, ns);
    }
    atomic_store_explicit(&r->s->asleep, 0, memory_order_relaxed);
}

void pmt_ring_pop(pmt_ring *r, uint64_t tail)
{
    /* release: our reads of the words happen before the producer may overwrite them. */
    atomic_store(&r->s->tail, tail);
    if (atomic_load(&r->s->full) != 0) {
        atomic_store(&r->s->full, 0);
        pmt_futex_wake(&r->s->full);
    }
}
