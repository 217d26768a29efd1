/* core/names.h - file and function names, each kept once and counted. Raw bytes with a length: no terminator.
 *
 * Changed under the GIL only. The writer reads names of sites whose records it has been given: they stay until it is
 * past them (core/sites.h). */
#ifndef PMT_NAMES_H
#define PMT_NAMES_H

#include "core/arena.h"

#define PMT_MAX_NAME (1u << 16) /* bytes; a longer one is shown as `<name of N bytes>` */
#define PMT_NAME_NONE 0u        /* unknown: shown as <?> */

typedef struct pmt_name {
    uint32_t len, refs, hash;
    uint32_t next; /* while free: nothing; sizes are by class, so the header is reused */
    char bytes[];
} pmt_name;

typedef struct pmt_names {
    pmt_arena *arena;
    pmt_table entries;  /* pmt_name *, by id; id 0 is none */
    uint32_t *slots;    /* hash: ids, 0 is empty */
    uint32_t mask, used, high, free_id;
    char *block, *block_end;     /* where the next new name is cut from */
    struct pmt_block *blocks;    /* all of them, to give back */
    void *free_by_class[20];     /* names given back, by power of two */
} pmt_names;

int pmt_names_init(pmt_names *n, pmt_arena *a);
void pmt_names_free(pmt_names *n);
uint32_t pmt_names_add(pmt_names *n, const char *bytes, size_t len); /* one more reference; NONE: no memory */
void pmt_names_keep(pmt_names *n, uint32_t id);
void pmt_names_drop(pmt_names *n, uint32_t id);

static inline const pmt_name *pmt_names_at(const pmt_names *n, uint32_t id) /* NULL for PMT_NAME_NONE */
{
    return id == PMT_NAME_NONE ? NULL : *(pmt_name *const *)pmt_table_at(&n->entries, id);
}

#endif
