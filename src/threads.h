/* threads.h - per-thread state: when the thread last made an event, and its name. Under the GIL but for the destructor.
 *
 * Slots are never freed, only used again: when its thread is dead and the writer has passed its last record. */
#ifndef PMT_THREADS_H
#define PMT_THREADS_H

#include "core/recorder.h"

typedef struct pmt_thread {
    uint64_t last;            /* ticks at its last event, or after its last reading */
    uint32_t generation;      /* the recording that knows it */
    uint32_t slot;
    uint64_t left_at;         /* ring's head when it was found dead */
    uint64_t state_id;        /* of its PyThreadState */
    _Atomic uint32_t state;   /* the destructor, at the thread's end, needs no GIL */
    pmt_thread_name name;
} pmt_thread;

extern __thread pmt_thread *pmt_thread_here __attribute__((tls_model("initial-exec")));

int pmt_threads_init(void);                     /* once a process: 0 or -errno */
/* Of a thread that is not known yet, at an event: is it past what threading does before the thread's `run`? The profile
 * function sees it from there on, and it has its name only then. */
bool pmt_thread_begins(const PyCodeObject *code, pmt_kind kind, const PyMethodDef *def);
pmt_thread *pmt_thread_enter(pmt_recorder *r);  /* first event of this thread in r. NULL: r has failed */
void pmt_threads_forked(void);                  /* in a forked child: all threads but this one are gone */
bool pmt_thread_known(const pmt_recorder *r, uint64_t state_id); /* has r seen events of that living thread? */
const pmt_thread_name *pmt_thread_name_at(void *none, uint32_t slot); /* for sinks; NULL: unknown */

static inline pmt_thread *pmt_thread_of(pmt_recorder *r)
{
    pmt_thread *t = pmt_thread_here;
    return __builtin_expect(t != NULL && t->generation == r->generation, 1) ? t : pmt_thread_enter(r);
}

#endif
