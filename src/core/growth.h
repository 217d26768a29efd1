/* core/growth.h - who grew: net change of RSS by function, touched only when RSS changed. Under the GIL. */
#ifndef PMT_GROWTH_H
#define PMT_GROWTH_H

#include <stdbool.h>

#include "core/names.h"

#define PMT_MAX_GROWTH 65536u /* functions; what comes later is added up in `others` */

typedef struct pmt_grown {
    uint32_t file, name; /* names, one reference each */
    int32_t line;        /* Python: where the function begins; C: where it was called */
    uint32_t times;      /* changes charged */
    int64_t net, up;     /* bytes: all changes; the positive ones */
} pmt_grown;

typedef struct pmt_growth {
    pmt_arena *arena;
    pmt_names *names;
    pmt_grown *slots; /* hash; times == 0: empty */
    uint32_t mask, used;
    pmt_grown others;
} pmt_growth;

int pmt_growth_init(pmt_growth *g, pmt_arena *a, pmt_names *names);
void pmt_growth_free(pmt_growth *g);
void pmt_growth_add(pmt_growth *g, uint32_t file, uint32_t name, int32_t line, int64_t bytes);

#endif
