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

/* What the tree needs of a site, together. from and to are the tree's that `places_of` names. */
typedef struct pmt_place {
    uint32_t function;       /* the one that begins or ends there */
    uint32_t python_what;    /* the Python function whose code it is in : 29 | what : 3 */
    uint32_t from, to;       /* a call last led from this node to that one; from UINT32_MAX: to none */
} pmt_place;

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
} pmt_dictionary;

int pmt_dictionary_init(pmt_dictionary *d); /* 0 or -errno */
void pmt_dictionary_free(pmt_dictionary *d); /* a zeroed one is fine */
void pmt_dictionary_forget(pmt_dictionary *d); /* no code object and no site is defined; functions keep their numbers */

/* Definitions until the end of b. 0; -EBADMSG: not valid, b->at says where (what was before it is taken); -ENOMEM. */
int pmt_dictionary_apply(pmt_dictionary *d, pmt_bytes *b);

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
