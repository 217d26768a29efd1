/* core/sampler.h - reads what the kernel says of this process at regular intervals, in a thread of its own, into a file of
 * JSON lines (docs/samples.md).
 *
 * new, create, start, park, stop, free: by one thread at a time (under the GIL; start and stop may release it meanwhile).
 * Nothing here needs the GIL. Markers may be given while the thread runs, under the GIL; waiting for one needs none. */
#ifndef PMT_SAMPLER_H
#define PMT_SAMPLER_H

#include "core/background.h"
#include "core/clock.h"
#include "platform/usage.h"

#define PMT_LEAST_INTERVAL_NS 1000000       /* 1 ms */
#define PMT_MOST_INTERVAL_NS 86400000000000 /* a day */

typedef struct pmt_marker {
    struct pmt_marker *next;
    char *line;              /* owned (malloc): the line, with room for its beginning */
    size_t len;              /* of what follows that room */
    int64_t ns;              /* CLOCK_MONOTONIC when it was given */
    _Atomic uint32_t done;   /* futex: 1: written, or it cannot be; the sampler does not touch it any more */
} pmt_marker;

typedef struct pmt_samples { /* what was read so far; written by the thread. Relaxed: each is of interest for itself */
    _Atomic uint64_t ticks, missed;
    _Atomic int64_t rss_first, rss_last, peak; /* bytes */
    _Atomic int64_t last_us; /* of the last line, on the log's clock */
} pmt_samples;

typedef struct pmt_sampler {
    pmt_arena arena;
    pmt_background back;
    pmt_output output;
    pmt_usage_files files;   /* the thread's */
    pmt_samples seen;
    int64_t interval_ns, pss_ns;
    int64_t process_start_ns, base_ns; /* tick k is due at base_ns + k * interval_ns */
    uint64_t last_tick;      /* number of the last one that was made */
    int64_t pss_due_ns, whole_due_ns;
    bool look;               /* is the file still there? */
    int64_t peak_seen;       /* bytes: a peak does not fall because it was read in another way */
    bool unshare;            /* see pmt_writer */
    bool begun, ended;       /* the header is in the file; the last sample is */
    const char *header;      /* the thread's, at the first start */
    size_t header_len;
    _Atomic uint32_t bell;   /* futex: moves when there is something else to do than to wait for the next tick */
    _Atomic uint32_t order;  /* 0 run, 1 go, 2 sample once more and go */
    pmt_marker *_Atomic markers; /* given and not yet taken, the last one first */
    _Atomic int error;       /* the first error of reading or writing, -errno; no lines after it */
    long pid;
    struct pmt_sampler *next; /* for the owner */
    void *owner;
} pmt_sampler;

/* pss_ns: least time between two readings of PSS and USS, 0: none. 0 or -errno with *out NULL. */
int pmt_sampler_new(pmt_sampler **out, const char *path, unsigned flags, int64_t interval_ns, int64_t pss_ns);
void pmt_sampler_free(pmt_sampler *s);                 /* NULL is fine; stopped, or never started: then its new file goes */
void pmt_sampler_forget(pmt_sampler *s);               /* in a forked child: gives memory back, touches no file */

int pmt_sampler_create(pmt_sampler *s);                /* makes the file if it is to be a regular one: 0 or -errno */
void pmt_sampler_begin(pmt_sampler *s);                /* sets base_ns to now: what the header says */
/* Opens the file, writes the header (a line) and a sample, starts the thread. Blocks. Also after a park. 0 or -errno. */
int pmt_sampler_start(pmt_sampler *s, const char *header, size_t n);
void pmt_sampler_park(pmt_sampler *s, bool last);      /* ends the thread and waits until the kernel has forgotten it; last: sample once more */
void pmt_sampler_stop(pmt_sampler *s);                 /* samples once more and ends the thread; twice is fine */
int pmt_sampler_error(const pmt_sampler *s);           /* 0 or -errno */

int pmt_marker_make(pmt_marker *m, const char *text, size_t n); /* UTF-8; 0 or -ENOMEM */
void pmt_marker_give(pmt_marker *m, pmt_sampler *s);   /* under the GIL, while the thread runs */
void pmt_marker_wait(pmt_marker *m);                   /* until it is in the file, or cannot be; m is free after */

#endif
