/* core/dictionary.h - definitions read back: ids -> code objects, sites, threads. For readers and recovery, one thread.
 *
 * docs/capture-format.md, "Definitions". The bytes are untrusted: nothing is allocated beyond what they can hold. */
#ifndef PMT_DICTIONARY_H
#define PMT_DICTIONARY_H

#include "core/bytes.h"
#include "core/sink.h"

#define PMT_MAX_THREADS (1u << 18)

/* A function as reports show it: Python by file, line of its beginning and name; C by calling file, its line 0, and name.
 * The same function compiled anew is the same function. */
typedef struct pmt_function {
    uint32_t file, name; /* names of `sites.names`, one reference each */
    int32_t line;        /* Python: first line; C: 0 */
    bool c;
} pmt_function;

#define PMT_NO_WAY ((uint64_t)UINT32_MAX)
#define PMT_WAY_TIMES (UINT64_C(1) << 36) /* a block has fewer than 2^24 events, and of these each has fewer than 2^9 units */

/* What the tree needs of a site, together: two to a cache line. The first three are the tree's that `places_of` names. */
typedef struct pmt_place {
    uint64_t way;            /* stamp : 32 | node from which an event there last led ...; PMT_NO_WAY: none yet */
    uint64_t to;             /* ... to this node; the same stamp : 32 | node */
    uint64_t sum;            /* of such events, not yet the nodes': PMT_WAY_TIMES * number + clock units; 0 between blocks */
    uint32_t function;       /* the one that begins or ends there */
    uint32_t python_what;    /* the Python function whose code it is in : 29 | what : 3 */
} pmt_place;

_Static_assert(sizeof(pmt_place) == 32, "two places are a cache line");

typedef struct pmt_retired { /* what a site had seen when its id got another meaning */
    uint32_t function, what;
    int32_t line;
    pmt_site_total total;
} pmt_retired;

typedef struct pmt_dictionary {
    pmt_arena arena;
    pmt_sites sites;         /* only its tables and names: nothing is found by key here */
    uint32_t codes, high;    /* largest ids defined so far + 1; all below are defined: ids are dense */
    pmt_table functions;     /* pmt_function, from 1 on */
    uint32_t function_count; /* + 1 */
    uint32_t *function_slots, function_mask;
    pmt_place *by_site;      /* by site id; owned */
    uint32_t by_site_room;
    const void *places_of;
    pmt_table by_code;       /* uint32_t: function of a code id */
    pmt_thread_name **threads; /* PMT_MAX_THREADS pointers, owned; NULL: not defined */
    uint32_t thread_high;    /* largest thread id defined so far + 1 */
    /* where sites.totals is in use */
    pmt_retired *retired;    /* owned */
    uint32_t retired_count, retired_room;
    bool totals_missing;     /* there was no room for them in the segments */
    bool sink_counts;        /* they are a sink's, which goes on counting: definitions leave them alone */
} pmt_dictionary;

int pmt_dictionary_init(pmt_dictionary *d); /* 0 or -errno */
void pmt_dictionary_free(pmt_dictionary *d); /* a zeroed one is fine */
void pmt_dictionary_forget(pmt_dictionary *d); /* no code object and no site is defined; functions keep their numbers */

/* Definitions until the end of b. 0; -EBADMSG: not valid, b->at says where (what was before it is taken); -ENOMEM. */
int pmt_dictionary_apply(pmt_dictionary *d, pmt_bytes *b);

/* The payload of a block of what sites have seen: 0, -EBADMSG as above. Passed over where nobody counts. */
int pmt_dictionary_totals(pmt_dictionary *d, pmt_bytes *b);

static inline uint32_t pmt_place_what(pmt_place place)
{
    return place.python_what & 7;
}

static inline uint32_t pmt_place_python(pmt_place place)
{
    return place.python_what >> 3;
}

static inline bool pmt_dictionary_has_site(const pmt_dictionary *d, uint64_t site) /* an event, not a charge */
{
    return site >= PMT_SITE_FIRST && site < d->high && pmt_place_what(d->by_site[site]) < PMT_CHARGED;
}

static inline const pmt_function *pmt_dictionary_function(const pmt_dictionary *d, uint32_t function)
{
    return pmt_table_at(&d->functions, function);
}

const pmt_thread_name *pmt_dictionary_thread(const pmt_dictionary *d, uint32_t id); /* NULL: not defined */
/* For pmt_source: the same, as a function of any pointer to a dictionary. */
const pmt_thread_name *pmt_dictionary_thread_of(void *d, uint32_t id);

#endif
