/* core/writer.h - the one background thread: takes records from the ring, feeds the sink, then lets the ring go.
 *
 * start, stop, park: by one thread at a time (under the GIL; start may release it meanwhile, nothing else may). The
 * thread itself never takes the GIL and allocates nothing (core/background.h). */
#ifndef PMT_WRITER_H
#define PMT_WRITER_H

#include "core/background.h"
#include "core/gate.h"
#include "core/ring.h"
#include "core/sink.h"

typedef struct pmt_writer {
    pmt_ring *ring;
    pmt_sink *sink;
    pmt_output *output;
    pmt_output *second;      /* another file that the sink writes, once it is created; NULL: none */
    pmt_clock *clock;
    pmt_gate *gate;
    pmt_background back;
    bool unshare;            /* a descriptor table of its own (PYMEMTRACE_UNSHARE=off: the fallback, for tests) */
    const char *text;        /* begin's text at the first start, end's text at the stop; read by the thread */
    size_t text_len;
    bool begun;
    uint64_t calibrations;   /* done so far */
    int64_t started_ns;
    int64_t before_end;      /* size of the file before the end text; -1: no end written */
    _Atomic int error;       /* the first error of the sink, -errno; after it the ring is emptied into nothing */
    _Atomic uint32_t order;  /* what the thread is to do: 0 run, 1 drain and go, 2 drain, write the end and go */
} pmt_writer;

int pmt_writer_init(pmt_writer *w, pmt_arena *a, pmt_ring *ring, pmt_sink *sink, pmt_output *output, pmt_clock *clock,
                    pmt_gate *gate);
void pmt_writer_free(pmt_writer *w);  /* the thread must be gone */

/* Opens the output (again, after a park) and starts the thread; blocks until it is up. 0, -errno or -PMT_E_NO_THREAD. */
int pmt_writer_start(pmt_writer *w);
void pmt_writer_park(pmt_writer *w);  /* drains, ends the thread and waits until the kernel has forgotten it; blocks */
void pmt_writer_stop(pmt_writer *w, const char *text, size_t n); /* the same, with the end text written; blocks */
void pmt_writer_drain(pmt_writer *w); /* until all that is in the ring is written; blocks */
int pmt_writer_error(const pmt_writer *w);

#endif
