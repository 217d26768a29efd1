/* DESIGN: the thread takes at most 64 KiB of ring at a time, gives them to the sink, which has written them when it
 * returns, and only then moves the tail: what is not in the ring is in the file. It sleeps until a whole chunk is there
 * or for a fifth of a second, so that a log can be followed while it grows.
 *
 * Errors: the first one stays in `error`; from then on the ring is emptied into nothing, so that the producer never
 * waits for a disk that is full. */
#include "core/writer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NAP_NS 200000000

enum { ORDER_RUN, ORDER_PARK, ORDER_END };

int pmt_writer_init(pmt_writer *w, pmt_arena *a, pmt_ring *ring, pmt_sink *sink, pmt_output *output, pmt_clock *clock,
                    pmt_gate *gate)
{
    memset(w, 0, sizeof *w);
    w->ring = ring;
    w->sink = sink;
    w->output = output;
    w->clock = clock;
    w->gate = gate;
    w->unshare = true;
    w->before_end = -1;
    return pmt_background_init(&w->back, a);
}

void pmt_writer_free(pmt_writer *w)
{
    pmt_background_free(&w->back);
}

int pmt_writer_error(const pmt_writer *w)
{
    return atomic_load_explicit(&w->error, memory_order_acquire);
}

static void fail(pmt_writer *w, int rc)
{
    int none = 0;
    if (rc < 0) {
        atomic_compare_exchange_strong(&w->error, &none, rc);
    }
}

static int open_output(pmt_writer *w)
{
    pmt_output *o = w->output;
    if (o == NULL) {
        return 0;
    }
    if (o->special) { /* opened by pmt_writer_start */
        if (w->unshare) {
            pmt_background_table(o->fd.fd);
        }
        return 0;
    }
    bool own = w->unshare && pmt_background_table(-1);
    int rc = pmt_background_output(o, own, -1);
    return rc == 0 && w->second != NULL && w->second->created ? pmt_background_output(w->second, own, o->fd.fd) : rc;
}

/* Calibration again at 10 ms, 100 ms, 1 s, 10 s and then every minute: cores change their speed. */
static int64_t next_calibration_ns(const pmt_writer *w)
{
    static const int64_t first[] = {10000000, 100000000, 1000000000, 10000000000};
    if (w->calibrations < 4) {
        return w->started_ns + first[w->calibrations];
    }
    return w->started_ns + 60000000000 * (int64_t)(w->calibrations - 3);
}

static void nap(pmt_writer *w, uint64_t seen)
{
    int64_t until = next_calibration_ns(w) - pmt_clock_monotonic_ns();
    if (until <= 0) {
        pmt_gate_again(w->gate, w->clock);
        w->calibrations++;
        return;
    }
    pmt_ring_sleep(w->ring, seen, &w->order, until < NAP_NS ? until : NAP_NS);
}

/* What is written counts: after a kill, recovery goes on from here. */
static void note_progress(pmt_writer *w, uint64_t tail, bool ended)
{
    pmt_checkpoint c;
    memset(&c, 0, sizeof c);
    w->sink->keep(w->sink, &c);
    c.tail = tail;
    c.ended = ended;
    pmt_ring_keep(w->ring, &c);
}

/* Everything up to the head of this moment. */
static void feed(pmt_writer *w)
{
    pmt_ring *r = w->ring;
    uint64_t tail = atomic_load_explicit(&r->s->tail, memory_order_relaxed); /* only we write it */
    /* acquire, pairs with the release in push: the words before head are whole. */
    uint64_t head = atomic_load_explicit(&r->s->head, memory_order_acquire);
    while (tail < head) {
        int rc = pmt_writer_error(w);
        if (rc == 0) {
            rc = w->output == NULL ? 0 : pmt_output_check(w->output);
            if (rc == 0 && w->second != NULL && w->second->fd.fd >= 0 && pmt_output_check(w->second) == -EBADF) {
                rc = -EBADF;
            }
            if (rc == 0) {
                pmt_pair now = pmt_clock_pair(w->clock);
                rc = w->sink->records(w->sink, r->words, r->mask, &tail, head, PMT_RING_CHUNK, now);
            }
            if (rc == 0) {
                note_progress(w, tail, false);
            }
            fail(w, rc);
        }
        tail = rc < 0 ? head : tail;
        pmt_ring_pop(r, tail);
    }
}

static void *run(void *arg)
{
    pmt_writer *w = arg;
    int rc = open_output(w);
    if (rc == 0 && !w->begun) {
        rc = w->sink->begin(w->sink, w->text, w->text_len);
        w->begun = rc == 0;
        if (rc == 0) {
            note_progress(w, atomic_load_explicit(&w->ring->s->tail, memory_order_relaxed), false);
        }
    }
    if (rc == 0 && w->before_end >= 0) { /* the end was written too early: an exec that failed */
        static const char failed[] = "# exec failed, recording goes on\n";
        rc = pmt_output_check(w->output);
        rc = rc < 0 ? rc : w->sink->reopen(w->sink, w->before_end);
        rc = rc == -ESPIPE ? w->sink->note(w->sink, failed, sizeof failed - 1) : rc;
        w->before_end = -1;
        note_progress(w, atomic_load_explicit(&w->ring->s->tail, memory_order_relaxed), false);
    }
    pmt_background_up(&w->back, rc);
    if (rc < 0) {
        return NULL;
    }
    uint32_t order;
    do {
        /* Order first, then feed: what was pushed before the order is fed after it was seen. */
        order = atomic_load(&w->order);
        feed(w);
        if (order == ORDER_RUN) { /* also after a feed: whole chunks make large writes and blocks */
            nap(w, atomic_load_explicit(&w->ring->s->tail, memory_order_relaxed));
        }
    } while (order == ORDER_RUN);
    if (order == ORDER_END && pmt_writer_error(w) == 0) {
        w->before_end = w->output == NULL ? -1 : w->output->size;
        int rc_end = w->output == NULL ? 0 : pmt_output_check(w->output);
        rc_end = rc_end < 0 ? rc_end : w->sink->end(w->sink, w->text, w->text_len);
        fail(w, rc_end);
        if (rc_end == 0) {
            note_progress(w, atomic_load_explicit(&w->ring->s->tail, memory_order_relaxed), true);
        }
    }
    if (w->output != NULL && !w->output->special) { /* that one is the program's table's, and may be needed again */
        pmt_output_close(w->output);
    }
    if (w->second != NULL) {
        pmt_output_close(w->second);
    }
    return NULL;
}

int pmt_writer_start(pmt_writer *w)
{
    int saved = errno, rc = 0;
    atomic_store(&w->order, ORDER_RUN);
    if (w->started_ns == 0) {
        w->started_ns = pmt_clock_monotonic_ns();
    }
    if (w->output != NULL && w->output->special && !pmt_fd_ours(&w->output->fd)) {
        rc = w->output->created ? -EBADF : pmt_output_open(w->output, true);
    }
    if (rc == 0) {
        rc = pmt_background_start(&w->back, run, w);
    }
    errno = saved;
    return rc;
}

static void leave(pmt_writer *w, uint32_t order)
{
    if (!w->back.running) {
        return;
    }
    int saved = errno;
    atomic_store(&w->order, order);
    pmt_ring_wake(w->ring);
    errno = saved;
    pmt_background_join(&w->back, order == ORDER_PARK);
}

void pmt_writer_park(pmt_writer *w)
{
    leave(w, ORDER_PARK);
}

void pmt_writer_stop(pmt_writer *w, const char *text, size_t n)
{
    w->text = text;
    w->text_len = n;
    leave(w, ORDER_END);
}

void pmt_writer_drain(pmt_writer *w)
{
    int saved = errno;
    while (w->back.running && !pmt_ring_drained(w->ring)) {
        pmt_ring_wake(w->ring);
        usleep(50);
    }
    errno = saved;
}
