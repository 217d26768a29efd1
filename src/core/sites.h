/* core/sites.h - what the words' site ids mean: (code object, instruction offset, kind, C function) -> small integer.
 *
 * Changed under the GIL only; the writer reads sites whose records it has been given. A code object that died keeps
 * its place until the writer has passed the ring's head of that moment; then its place, its sites and its names are
 * used again, so that programs which compile in a loop do not grow the tracer. */
#ifndef PMT_SITES_H
#define PMT_SITES_H

#include "core/names.h"
#include "core/record.h"

typedef struct pmt_code {  /* one code object */
    uint32_t file, name;   /* names, one reference each */
    uint32_t first_line;
    uint32_t sites;        /* its first site, 0: none */
    uint32_t next;         /* in the queue of the dead, or of the free */
    uint32_t died_event;   /* low half of the number of events then */
    uint64_t died_at;      /* ring's head at its death */
} pmt_code;

typedef struct pmt_site {
    /* Read at every event, hence side by side. */
    uint64_t key;          /* code : 32 | offset + 1 : 29 | kind : 3 */
    uint64_t function;     /* identity of the C function, 0 for Python events */
    const void *object;    /* the code object's address while it lives, to compare only; NULL: dead, or never expected */
    uint32_t successor;    /* the site that followed this one last time */
    uint32_t generation;   /* changes when the id gets a new meaning: caches compare it */
    uint32_t name;         /* C function's name, one reference; NONE for Python events */
    int32_t line;
    uint32_t next;         /* of the same code object, or of the free */
} pmt_site;

#define PMT_SITES_SHIFT 12 /* items of the table in one piece of memory, as a power of two */

_Static_assert(sizeof(pmt_site) == 48, "a site and its two slots: 64 bytes");

typedef struct pmt_site_total { /* of a site in its present meaning, over the whole recording */
    uint64_t events;
    int64_t pages;         /* by which RSS had changed at them */
} pmt_site_total;

typedef struct pmt_sites {
    uint32_t *expected;    /* the successor of the last event's site: four times in five it is this event's */
    pmt_table sites;       /* pmt_site, ids below PMT_SITE_FIRST unused */
    pmt_arena *arena;
    pmt_names names;
    pmt_table codes;       /* pmt_code, index 0 unused */
    pmt_table totals;      /* pmt_site_total, the writer's; item 0: nobody counts */
    uint64_t *slots;       /* hash: fingerprint : 32 | id : 32, 0 is empty */
    uint64_t mask;
    uint32_t used, high_site, free_site, high_code, free_code;
    uint32_t dead_first, dead_last; /* queue of dead code objects, oldest first */
} pmt_sites;

int pmt_sites_init(pmt_sites *s, pmt_arena *a);
void pmt_sites_free(pmt_sites *s);
int pmt_sites_count(pmt_sites *s);           /* totals are wanted, from the start on: 0 or -errno */

uint32_t pmt_sites_new_code(pmt_sites *s);   /* 0: no memory. The caller fills file, name, first_line */
uint32_t pmt_sites_add(pmt_sites *s, uint64_t key, uint64_t function, uint32_t name, int32_t line); /* 0: no memory */
/* What pmt_sites_expect compares from now on; `object` is known by nothing else once its death was told. */
void pmt_sites_follow(pmt_sites *s, uint32_t site, const void *object);
void pmt_sites_distrust(pmt_sites *s); /* objects may have died untold: forgets all addresses */
void pmt_sites_code_died(pmt_sites *s, uint32_t code, uint64_t head, uint64_t events);
/* Forgets the dead that the writer has passed, but for those of the last event: `previous` may still send that one. */
void pmt_sites_reclaim(pmt_sites *s, uint64_t tail, uint64_t events);

static inline pmt_code *pmt_sites_code(const pmt_sites *s, uint32_t code)
{
    return pmt_table_at(&s->codes, code);
}

static inline pmt_site *pmt_sites_at(const pmt_sites *s, uint32_t site)
{
    /* As pmt_table_at, with what the compiler knows: at every event. */
    void *chunk = s->sites.chunks[site >> PMT_SITES_SHIFT];
    return (pmt_site *)chunk + (site & ((1u << PMT_SITES_SHIFT) - 1));
}

static inline pmt_site_total *pmt_sites_total(const pmt_sites *s, uint32_t site)
{
    return pmt_table_at(&s->totals, site);
}

static inline uint32_t pmt_site_place(int offset, pmt_kind kind) /* low half of the key */
{
    return ((uint32_t)(offset + 1) & 0x1FFFFFFFu) << 3 | (uint32_t)kind;
}

static inline int pmt_site_offset(uint32_t in_code)
{
    return (int)(in_code >> 3) - 1;
}

static inline uint64_t pmt_site_key(uint32_t code, int offset, pmt_kind kind)
{
    return (uint64_t)code << 32 | pmt_site_place(offset, kind);
}

static inline pmt_kind pmt_site_kind(const pmt_site *site)
{
    return (pmt_kind)(site->key & 7);
}

static inline uint64_t pmt_site_hash(uint64_t key, uint64_t function)
{
    uint64_t h = (key ^ function * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

static inline uint32_t pmt_sites_find(const pmt_sites *s, uint64_t key, uint64_t function) /* 0: not seen yet */
{
    uint64_t h = pmt_site_hash(key, function);
    for (uint64_t i = h & s->mask;; i = (i + 1) & s->mask) {
        uint64_t slot = s->slots[i];
        if (slot == 0) {
            return 0;
        }
        if (slot >> 32 == h >> 32) {
            const pmt_site *site = pmt_sites_at(s, (uint32_t)slot);
            if (site->key == key && site->function == function) {
                return (uint32_t)slot;
            }
        }
    }
}

/* The site of (object, low half of the key, function) if it is the expected one; 0: ask pmt_sites_find, then tell
 * pmt_sites_follow. Saves the code object's number, the hash and the slot. */
static inline uint32_t pmt_sites_expect(pmt_sites *s, const void *object, uint32_t place, uint64_t function)
{
    uint32_t id = *s->expected;
    pmt_site *site = pmt_sites_at(s, id);
    if (site->object != object || (uint32_t)site->key != place || site->function != function) {
        return 0;
    }
    s->expected = &site->successor;
    return id;
}

#endif
