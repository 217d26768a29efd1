/* Order, wrapping, waiting and stopping of the ring: one producer thread, one consumer. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "core/clock.h"
#include "core/record.h"
#include "core/ring.h"

typedef struct job {
    pmt_ring ring;
    uint64_t records;
    unsigned slow; /* the producer rests after so many records, 0: never */
} job;

static uint32_t words_of(uint64_t i) /* 1 to 7, no period that divides a power of two */
{
    return (uint32_t)(1 + i % 7);
}

static void *produce(void *arg)
{
    job *j = arg;
    for (uint64_t i = 0; i < j->records; i++) {
        uint64_t words[7];
        uint32_t n = words_of(i);
        for (uint32_t k = 0; k < n; k++) {
            words[k] = i * 8 + k;
        }
        pmt_ring_room(&j->ring, n);
        pmt_ring_push(&j->ring, words, n);
        if (j->slow != 0 && i % j->slow == 0) {
            usleep(300);
        }
    }
    return NULL;
}

static void order(uint32_t size, uint64_t records, unsigned slow, uint32_t slow_consumer)
{
    static const _Atomic uint32_t never;
    pmt_arena arena = {0};
    job *j = aligned_alloc(64, (sizeof *j + 63) / 64 * 64);
    pthread_t thread;
    memset(j, 0, sizeof *j);
    j->records = records;
    j->slow = slow;
    CHECK_INT(pmt_ring_init(&j->ring, &arena, size, -1), 0);
    pthread_create(&thread, NULL, produce, j);
    uint64_t tail = 0, i = 0, bad = 0, broken = 0;
    while (i < records) {
        uint64_t head = atomic_load_explicit(&j->ring.s->head, memory_order_acquire);
        if (head == tail) {
            pmt_ring_sleep(&j->ring, tail, &never, 2000000);
            continue;
        }
        bad += head - tail > size; /* overwritten before it was read */
        while (tail < head) {
            uint32_t n = words_of(i);
            broken += tail + n > head; /* a record is there whole or not at all */
            for (uint32_t k = 0; k < n; k++) {
                bad += j->ring.words[(tail + k) & j->ring.mask] != i * 8 + k;
            }
            tail += n;
            i++;
            if (slow_consumer != 0 && i % slow_consumer == 0) {
                pmt_ring_pop(&j->ring, tail);
                usleep(200);
            }
        }
        pmt_ring_pop(&j->ring, tail);
    }
    pthread_join(thread, NULL);
    CHECK_INT(bad, 0);
    CHECK_INT(broken, 0);
    CHECK(pmt_ring_drained(&j->ring));
    CHECK(slow_consumer == 0 || j->ring.waits > 0);
    pmt_ring_free(&j->ring, &arena);
    CHECK_INT(arena.mapped, 0);
    free(j);
}

/* A ring that is full and stays full makes the producer wait; nothing is overwritten; a pop lets it go on. */
static void full_waits(void)
{
    pmt_arena arena = {0};
    job *j = aligned_alloc(64, (sizeof *j + 63) / 64 * 64);
    pthread_t thread;
    memset(j, 0, sizeof *j);
    j->records = 100;
    CHECK_INT(pmt_ring_init(&j->ring, &arena, 16, -1), 0);
    pthread_create(&thread, NULL, produce, j);
    for (int i = 0; i < 60000 && atomic_load(&j->ring.s->full) == 0; i++) {
        usleep(500);
    }
    CHECK_INT(atomic_load(&j->ring.s->full), 1);
    uint64_t head = atomic_load(&j->ring.s->head);
    usleep(60000); /* longer than one of its waits */
    CHECK_INT(atomic_load(&j->ring.s->head), head);
    CHECK(head <= 16);
    CHECK_INT(j->ring.words[0], 0);
    CHECK_INT(j->ring.words[1], 8);
    uint64_t tail = 0;
    for (uint64_t i = 0; i < j->records; i++) {
        while (atomic_load_explicit(&j->ring.s->head, memory_order_acquire) < tail + words_of(i)) {
            usleep(50);
        }
        tail += words_of(i);
        pmt_ring_pop(&j->ring, tail);
    }
    pthread_join(thread, NULL);
    CHECK(pmt_ring_drained(&j->ring));
    pmt_ring_free(&j->ring, &arena);
    free(j);
}

static void errno_is_kept(void)
{
    pmt_arena arena = {0};
    pmt_ring ring;
    CHECK_INT(pmt_ring_init(&ring, &arena, 16, -1), 0);
    uint64_t word = 1;
    pmt_ring_room(&ring, 1);
    pmt_ring_push(&ring, &word, 1);
    atomic_store(&ring.s->asleep, 1);
    errno = 77;
    pmt_ring_make_room(&ring, 1);
    CHECK_INT(errno, 77);
    CHECK_INT(atomic_load(&ring.s->asleep), 0); /* something is there: the writer was woken */
    pmt_ring_free(&ring, &arena);
}

typedef struct sleeper {
    pmt_ring ring;
    _Atomic uint32_t order;
    _Atomic int slept;
} sleeper;

static void *sleeps(void *arg)
{
    sleeper *s = arg;
    while (atomic_load(&s->order) == 0) {
        pmt_ring_sleep(&s->ring, 0, &s->order, 60000000000);
        atomic_fetch_add(&s->slept, 1);
    }
    return NULL;
}

/* An order ends the sleep at once, whenever it comes. */
static void stop_wakes(void)
{
    pmt_arena arena = {0};
    for (int i = 0; i < 200; i++) {
        sleeper *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
        pthread_t thread;
        memset(s, 0, sizeof *s);
        pmt_ring_init(&s->ring, &arena, 1024, -1);
        pthread_create(&thread, NULL, sleeps, s);
        if (i % 3 != 0) {
            usleep((unsigned)(i % 5) * 40);
        }
        int64_t before = pmt_clock_monotonic_ns();
        atomic_store(&s->order, 1);
        pmt_ring_wake(&s->ring);
        pthread_join(thread, NULL);
        if (pmt_clock_monotonic_ns() - before > 5000000000) {
            CHECK(!"the sleeper was woken");
        }
        pmt_ring_free(&s->ring, &arena);
        free(s);
    }
    CHECK_INT(arena.mapped, 0);
}

/* limit never lets the producer pass the tail, and never asks for more than it must. */
static void limits(void)
{
    pmt_arena arena = {0};
    pmt_ring *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);
    CHECK_INT(pmt_ring_init(r, &arena, PMT_RING_WORDS, -1), 0);
    uint64_t words[600] = {0}, tail = 0;
    unsigned random = 1;
    bool good = true;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t n = 1 + (random >> 16) % (i % 50 == 0 ? 513 : 4);
        uint64_t head = atomic_load(&r->s->head);
        if (head + n - tail > r->mask + 1) {
            tail = head - (random >> 20) % 64;
            pmt_ring_pop(r, tail);
        }
        pmt_ring_room(r, n);
        good = good && r->limit >= head + n && r->limit <= tail + r->mask + 1;
        pmt_ring_push(r, words, n);
    }
    CHECK(good);
    CHECK_INT(r->waits, 0);
    pmt_ring_free(r, &arena);
    free(r);
}

static void record_lengths(void)
{
    CHECK_INT(pmt_record_words(0), 0);
    CHECK_INT(pmt_record_words(pmt_word(PMT_SITE_FIRST, 5)), 1);
    CHECK_INT(pmt_record_words(pmt_word(UINT32_MAX, UINT32_MAX)), 1);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_RSS, 0)), 2);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_CLOCK, 0)), 2);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_THREAD, 3)), 1);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_ROW, 16)), 4);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_PEAK, 16)), 3);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TRACER, 0)), 2);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_NESTED, 1)), 1);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TEXT, 0)), 1);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TEXT, 1)), 2);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TEXT, 8)), 2);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TEXT, PMT_MAX_TEXT)), PMT_RECORD_WORDS - 1);
    CHECK_INT(pmt_record_words(pmt_word(PMT_ESC_TEXT, PMT_MAX_TEXT + 1)), 0);
    for (uint32_t low = PMT_ESC_COUNT; low < PMT_SITE_FIRST; low++) {
        CHECK_INT(pmt_record_words(pmt_word(low, 1)), 0);
    }
}

int main(void)
{
    order(PMT_RING_WORDS, 300000, 0, 0);
    order(PMT_RING_WORDS, 20000, 500, 0);
    order(1024, 200000, 0, 0);
    order(16, 3000, 0, 0);
    order(16, 2000, 0, 50);
    order(8, 500, 0, 0); /* the longest record has seven words */
    full_waits();
    errno_is_kept();
    stop_wakes();
    limits();
    record_lengths();
    return check_done();
}
