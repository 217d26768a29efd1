/* core/recorder.h - one recording: opens and closes all of its parts, in order; the counters; what is pushed when.
 *
 * One recording at a time runs in a process; outer ones are suspended and hang on `outer`. Everything here is called
 * under the GIL, except that open() may release it (it waits for the writer thread), and pmt_recorder_forked, which
 * runs in a forked child. Nothing here knows Python. */
#ifndef PMT_RECORDER_H
#define PMT_RECORDER_H

#include "core/filter.h"
#include "core/growth.h"
#include "core/writer.h"

#define PMT_LEAST_KEEP (1 << 20) /* bytes */

typedef enum pmt_state {
    PMT_OFF,     /* not started, ended, or in a forked child */
    PMT_RUNNING,
    PMT_PARKED,    /* running, but the writer thread was ended around a fork */
    PMT_SUSPENDED, /* a nested one runs: no events, no numbers */
    PMT_FAILED     /* an error ended it: the program goes on */
} pmt_state;

typedef enum pmt_compute { PMT_COMPUTE_NOTHING, PMT_COMPUTE_RSS, PMT_COMPUTE_ALL } pmt_compute;

typedef struct pmt_options {
    pmt_log log;
    pmt_compute compute;
    uint64_t threshold;      /* bytes */
    bool comments, has_file, binary;
    const char *gate;        /* NULL, or "off" */
    const char *engine;      /* its name, for those who ask */
    const char *clock;       /* NULL, "monotonic", "fake:N" */
    bool unshare;
    const char *path;        /* absolute; read when has_file */
    int64_t keep;            /* bytes that a capture's events and ring may take; 0: no limit */
    unsigned open_flags;
} pmt_options;

typedef struct pmt_recorder {
    /* Touched by every event: three cache lines, and the beginning of `gate`. */
    alignas(64) uint64_t events;
    uint64_t rows;
    uint64_t clock_sent;
    int64_t rss_now;         /* the last reading, bytes */
    int64_t rss_sent;        /* what the stream has said */
    uint32_t slot_sent;      /* thread slot */
    uint32_t last_slot;      /* thread that made the event before */
    uint32_t generation;     /* tells this recording's marks on code objects and threads from others' */
    pmt_state state;
    pmt_clock clock;
    pmt_ring ring;
    pmt_sites sites;
    pmt_gate gate;
    pmt_filter filter;
    /* touched when RSS was read or something is new */
    pmt_state was;           /* in a forked child: the state of its parent */
    pmt_options options;
    pmt_rss rss;
    int64_t rss_first, rss_max, peak_max;
    int64_t peak_base;       /* the kernel's peak counter at the start or the last peak */
    int64_t peak_before;     /* as it was at the start */
    int64_t granularity, peak_granularity;
    pmt_growth growth;
    int64_t mapped_seen, mapped_sent, tracer_growth, suspended_growth, suspended_at;
    uint64_t passed_through; /* starts of other threads that were refused: decorated calls go on without */
    uint64_t threads_new;    /* threads begun since the start that made events */
    uint64_t threads_before; /* id of a thread state made at the start: later ones are greater */
    uint64_t threads_made;   /* how many were made before the start */
    int64_t foreign;         /* bytes seen at the first event after a change of thread, absolute */
    int error;               /* -errno: why it failed */
    const char *error_where; /* "writing the log" ... */
    /* parts */
    pmt_arena arena;
    pmt_output output, second; /* second: a log's definitions or a capture's segment */
    char *ring_path;         /* owned (malloc) */
    bool ring_ours;          /* the ring is that file; else it is anonymous */
    int ring_error;          /* -errno: why it is, 0: the output is no regular file */
    uint8_t *scratch;        /* for a definition, PMT_MAX_DEFINE bytes; NULL: nobody needs definitions */
    pmt_source source;
    pmt_sink *sink;
    pmt_writer writer;
    pmt_pair first_pair, last_pair;
    int64_t begun_ns;        /* CLOCK_MONOTONIC when events began to count */
    int64_t process_start_ns;
    long pid;
    unsigned long thread;    /* Python's ident of the thread that started it */
    void *owner;             /* the Tracer */
    uint64_t parked_at;      /* ticks, of PMT_PARKED; 0 until the fork is over */
    struct pmt_recorder *outer;
} pmt_recorder;

/* Maps memory, measures the machine, or takes over what `like` has measured on it. 0 or -errno with *out NULL. */
int pmt_recorder_new(pmt_recorder **out, const pmt_options *options, const pmt_thread_name *(*thread)(void *, uint32_t),
                     const pmt_recorder *like);
/* Makes the output, if it is a regular file, and the ring. 0 or -errno; *path is the file that it is about. -EEXIST with
 * a path other than the output's: the ring of a recording that was killed is there. */
int pmt_recorder_create(pmt_recorder *r, const char **path);
/* Opens the output, writes `text` and starts the writer thread. Blocks, without need of the GIL. 0 or -errno. */
int pmt_recorder_open(pmt_recorder *r, const char *text, size_t n);
void pmt_recorder_begin(pmt_recorder *r, uint32_t generation); /* base readings; events count from here */
void pmt_recorder_end(pmt_recorder *r);                        /* no more events: RSS and clock of the end */
void pmt_recorder_close(pmt_recorder *r, const char *text, size_t n); /* drains, writes the end, joins the thread */
void pmt_recorder_free(pmt_recorder *r);                       /* NULL is fine; closed before, or never opened */
void pmt_recorder_forget(pmt_recorder *r);                     /* in a forked child: gives memory back, touches no file */

/* Before the process may end or be replaced by a call: the end is written, and taken back if the call returns. */
void pmt_recorder_leave(pmt_recorder *r, const char *text, size_t n);

void pmt_recorder_fail(pmt_recorder *r, int rc, const char *where); /* sticky: the first error stays */
int pmt_recorder_error(pmt_recorder *r);                            /* the writer's included */
void pmt_recorder_suspend(pmt_recorder *r);                         /* a nested recording begins */
void pmt_recorder_resume(pmt_recorder *r);
void pmt_recorder_text(pmt_recorder *r, const char *text, size_t n); /* a `# ` line; line feeds begin another */
void pmt_recorder_park(pmt_recorder *r);    /* before a fork */
void pmt_recorder_unpark(pmt_recorder *r);  /* after it */
void pmt_recorder_forked(pmt_recorder *r);  /* in the child, by pthread_atfork: only switches recording off */

/* What the engine does with one event, in pieces; see event.h for their order. */
typedef struct pmt_change { /* what a reading found */
    int64_t program;        /* change of RSS that is not the tracer's own, bytes */
    int64_t peak;           /* 0, or a peak above everything seen */
    bool changed;           /* RSS differs from the reading before */
} pmt_change;

/* Reads RSS, and the peak after a long interval. *last becomes the time right after the reading. false: it failed. */
bool pmt_recorder_read(pmt_recorder *r, uint64_t now, uint64_t *last, bool audit, pmt_change *out);
void pmt_recorder_make_room(pmt_recorder *r, uint32_t n);
static inline void pmt_recorder_room(pmt_recorder *r, uint32_t n) /* place in the ring; restarts a parked writer */
{
    if (__builtin_expect(atomic_load_explicit(&r->ring.s->head, memory_order_relaxed) + n > r->ring.limit, 0)) {
        pmt_recorder_make_room(r, n);
    }
}
void pmt_recorder_send_peak(pmt_recorder *r, uint32_t site, int64_t peak, uint64_t event);
void pmt_recorder_send_row(pmt_recorder *r, uint32_t site, uint32_t slot, uint64_t event, uint64_t clock, uint64_t rss);
void pmt_recorder_define(pmt_recorder *r, size_t n); /* what is in `scratch`, before the first record that uses it */
void pmt_recorder_mapped(pmt_recorder *r);           /* after a first sight: says what our own memory grew */

static inline uint64_t pmt_recorder_clock(pmt_recorder *r, uint64_t ticks) /* never falls within the stream */
{
    uint64_t clock = ticks >> PMT_CLOCK_SHIFT;
    return clock > r->clock_sent ? clock : r->clock_sent;
}

/* An event when all are recorded: one word, escapes before it where something changed. */
static inline __attribute__((always_inline)) void pmt_recorder_send(pmt_recorder *r, uint32_t site, uint32_t slot,
                                                                    uint64_t ticks)
{
    uint64_t clock = pmt_recorder_clock(r, ticks), dt = clock - r->clock_sent;
    if (__builtin_expect(r->rss_now == r->rss_sent && slot == r->slot_sent && dt >> 32 == 0, 1)) {
        pmt_recorder_room(r, 1);
        pmt_ring_push(&r->ring, &(uint64_t){pmt_word(site, (uint32_t)dt)}, 1);
    }
    else {
        uint64_t words[6];
        uint32_t n = 0;
        if (slot != r->slot_sent) {
            words[n++] = pmt_word(PMT_ESC_THREAD, slot);
        }
        if (r->rss_now != r->rss_sent) {
            words[n++] = pmt_word(PMT_ESC_RSS, 0);
            words[n++] = (uint64_t)r->rss_now;
        }
        if (dt >> 32 != 0) {
            words[n++] = pmt_word(PMT_ESC_CLOCK, 0);
            words[n++] = clock;
            dt = 0;
        }
        words[n++] = pmt_word(site, (uint32_t)dt);
        pmt_recorder_room(r, n);
        pmt_ring_push(&r->ring, words, n);
        r->slot_sent = slot;
        r->rss_sent = r->rss_now;
    }
    r->clock_sent = clock;
    r->rows++;
}

#endif
