/* core/sink.h - what the writer thread feeds. A sink turns records into bytes of its format and writes them.
 *
 * All functions are called by one thread at a time, never with a need for the GIL; none allocates from the heap. They
 * return 0 or -errno; after an error the writer calls only `close`. Siblings do not know each other. */
#ifndef PMT_SINK_H
#define PMT_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/io.h"
#include "core/growth.h"
#include "core/ring.h"
#include "core/sites.h"

typedef enum pmt_layout { PMT_LAYOUT_ALL, PMT_LAYOUT_PREVIOUS } pmt_layout;

typedef struct pmt_thread_name { /* read by the writer while the slot cannot change: see threads.h */
    uint32_t tid;
    uint32_t len;
    char bytes[240];
} pmt_thread_name;

/* What a sink may look at: all outlives it. */
typedef struct pmt_source {
    const pmt_sites *sites;
    const pmt_thread_name *(*thread)(void *of, uint32_t slot);
    void *threads;           /* the `of` of thread */
    pmt_output *output;
    pmt_output *definitions; /* where a text log's definitions go, for recovery; NULL: nowhere */
    pmt_output *segment;     /* --keep: the segment at hand, its path with room for another number; NULL: no segments */
    int64_t keep;            /* bytes that all segments may take */
    const pmt_growth *growth; /* for a capture's totals; NULL: none. Read when no event can come any more */
    int64_t process_start_ns;
    pmt_pair first;          /* clock pair at the start */
    uint32_t page;           /* bytes */
} pmt_source;

typedef struct pmt_sink pmt_sink;
struct pmt_sink {
    /* Once, when the file is open. The text stands before the rows, as it is. */
    int (*begin)(pmt_sink *s, const char *text, size_t n);
    /* Whole records from words[*at & mask] on, up to `to`, or a little more than `most` words of them: *at is moved
     * behind what was taken, which is written when it returns. now: the clock pair after the last of them. */
    int (*records)(pmt_sink *s, const uint64_t *words, uint64_t mask, uint64_t *at, uint64_t to, uint64_t most,
                   pmt_pair now);
    int (*end)(pmt_sink *s, const char *text, size_t n); /* the last text */
    int (*note)(pmt_sink *s, const char *line, size_t n); /* a comment line, with its line feed */
    int (*reopen)(pmt_sink *s, int64_t size);            /* takes an end back: the file is `size` long again */
    void (*keep)(const pmt_sink *s, pmt_checkpoint *c);  /* what `resume` needs, but for `tail` */
    void (*resume)(pmt_sink *s, const pmt_checkpoint *c); /* goes on from there; before any records */
    void (*close)(pmt_sink *s);                          /* frees the sink, not the output */
    uint64_t rows;                                       /* event lines written; read when the writer has stopped */
};

pmt_sink *pmt_text_sink_new(pmt_arena *a, const pmt_source *source, pmt_layout layout, bool comments); /* NULL: errno */
pmt_sink *pmt_binary_sink_new(pmt_arena *a, const pmt_source *source); /* NULL: errno */
pmt_sink *pmt_null_sink(void); /* one for all; nothing to free */

#endif
