#include "core/sites.h"

#include <errno.h>
#include <string.h>

#define FIRST_SLOTS 16384u

int pmt_sites_init(pmt_sites *s, pmt_arena *a)
{
    memset(s, 0, sizeof *s);
    s->arena = a;
    int rc = pmt_names_init(&s->names, a);
    if (rc == 0) {
        rc = pmt_table_init(&s->codes, a, sizeof(pmt_code), 11);
    }
    if (rc == 0) {
        rc = pmt_table_init(&s->sites, a, sizeof(pmt_site), PMT_SITES_SHIFT);
    }
    if (rc == 0 && (s->slots = pmt_arena_map(a, FIRST_SLOTS * sizeof *s->slots)) == NULL) {
        rc = -errno;
    }
    s->mask = FIRST_SLOTS - 1;
    s->high_site = PMT_SITE_FIRST;
    s->high_code = 1;
    if (rc == 0) {
        rc = pmt_table_reach(&s->codes, 1);
    }
    if (rc == 0 && (rc = pmt_table_reach(&s->sites, PMT_SITE_FIRST)) == 0) {
        s->expected = &pmt_sites_at(s, 0)->successor; /* site 0, which no object has */
    }
    return rc;
}

int pmt_sites_count(pmt_sites *s)
{
    return pmt_table_init(&s->totals, s->arena, sizeof(pmt_site_total), 13);
}

void pmt_sites_free(pmt_sites *s)
{
    if (s->slots != NULL) {
        pmt_arena_unmap(s->arena, s->slots, (s->mask + 1) * sizeof *s->slots);
        s->slots = NULL;
    }
    pmt_table_free(&s->sites);
    pmt_table_free(&s->totals);
    pmt_table_free(&s->codes);
    if (s->names.arena != NULL) {
        pmt_names_free(&s->names);
    }
}

uint32_t pmt_sites_new_code(pmt_sites *s)
{
    uint32_t code = s->free_code;
    if (code != 0) {
        s->free_code = pmt_sites_code(s, code)->next;
    }
    else {
        if (pmt_table_reach(&s->codes, s->high_code) < 0) {
            return 0;
        }
        code = s->high_code++;
    }
    memset(pmt_sites_code(s, code), 0, sizeof(pmt_code));
    return code;
}

static void put_slot(uint64_t *slots, uint64_t mask, uint64_t hash, uint32_t id)
{
    uint64_t i = hash & mask;
    while (slots[i] != 0) {
        i = (i + 1) & mask;
    }
    slots[i] = hash >> 32 << 32 | id;
}

static int grow_slots(pmt_sites *s)
{
    uint64_t mask = s->mask * 2 + 1;
    uint64_t *slots = pmt_arena_map(s->arena, (mask + 1) * sizeof *slots);
    if (slots == NULL) {
        return -errno;
    }
    for (uint64_t i = 0; i <= s->mask; i++) {
        if (s->slots[i] != 0) {
            const pmt_site *site = pmt_sites_at(s, (uint32_t)s->slots[i]);
            put_slot(slots, mask, pmt_site_hash(site->key, site->function), (uint32_t)s->slots[i]);
        }
    }
    pmt_arena_unmap(s->arena, s->slots, (s->mask + 1) * sizeof *slots);
    s->slots = slots;
    s->mask = mask;
    return 0;
}

uint32_t pmt_sites_add(pmt_sites *s, uint64_t key, uint64_t function, uint32_t name, int32_t line)
{
    if ((uint64_t)s->used * 5 > s->mask * 3 && grow_slots(s) < 0) {
        return 0;
    }
    uint32_t id = s->free_site;
    if (id != 0) {
        s->free_site = pmt_sites_at(s, id)->next;
    }
    else {
        if (pmt_table_reach(&s->sites, s->high_site) < 0 ||
            (s->totals.item != 0 && pmt_table_reach(&s->totals, s->high_site) < 0)) {
            return 0;
        }
        id = s->high_site++;
    }
    pmt_code *code = pmt_sites_code(s, (uint32_t)(key >> 32));
    pmt_site *site = pmt_sites_at(s, id);
    uint32_t generation = site->generation + 1;
    *site = (pmt_site){.key = key, .function = function, .name = name, .line = line, .next = code->sites,
                       .generation = generation};
    code->sites = id;
    put_slot(s->slots, s->mask, pmt_site_hash(key, function), id);
    s->used++;
    return id;
}

void pmt_sites_follow(pmt_sites *s, uint32_t site, const void *object)
{
    pmt_site *now = pmt_sites_at(s, site);
    now->object = object;
    *s->expected = site;
    s->expected = &now->successor;
}

void pmt_sites_distrust(pmt_sites *s)
{
    for (uint32_t id = PMT_SITE_FIRST; id < s->high_site; id++) {
        pmt_sites_at(s, id)->object = NULL;
    }
}

void pmt_sites_code_died(pmt_sites *s, uint32_t code, uint64_t head, uint64_t events)
{
    pmt_code *c = pmt_sites_code(s, code);
    c->died_at = head;
    c->died_event = (uint32_t)events;
    c->next = 0;
    for (uint32_t id = c->sites; id != 0; id = pmt_sites_at(s, id)->next) {
        pmt_sites_at(s, id)->object = NULL; /* CPython gives the address to the next one */
    }
    if (s->dead_last != 0) {
        pmt_sites_code(s, s->dead_last)->next = code;
    }
    else {
        s->dead_first = code;
    }
    s->dead_last = code;
}

static void forget_site(pmt_sites *s, uint32_t id)
{
    pmt_site *site = pmt_sites_at(s, id);
    uint64_t i = pmt_site_hash(site->key, site->function) & s->mask;
    while ((uint32_t)s->slots[i] != id) {
        i = (i + 1) & s->mask;
    }
    for (uint64_t j = (i + 1) & s->mask; s->slots[j] != 0; j = (j + 1) & s->mask) { /* close the gap */
        const pmt_site *other = pmt_sites_at(s, (uint32_t)s->slots[j]);
        uint64_t home = pmt_site_hash(other->key, other->function) & s->mask;
        if (((j - home) & s->mask) >= ((j - i) & s->mask)) {
            s->slots[i] = s->slots[j];
            i = j;
        }
    }
    s->slots[i] = 0;
    s->used--;
    pmt_names_drop(&s->names, site->name);
    site->next = s->free_site;
    s->free_site = id;
}

void pmt_sites_reclaim(pmt_sites *s, uint64_t tail, uint64_t events)
{
    while (s->dead_first != 0) {
        uint32_t code = s->dead_first;
        pmt_code *c = pmt_sites_code(s, code);
        if (tail < c->died_at || (uint32_t)events - c->died_event < 2) {
            return;
        }
        s->dead_first = c->next;
        if (s->dead_first == 0) {
            s->dead_last = 0;
        }
        for (uint32_t id = c->sites; id != 0;) {
            uint32_t next = pmt_sites_at(s, id)->next;
            forget_site(s, id);
            id = next;
        }
        pmt_names_drop(&s->names, c->file);
        pmt_names_drop(&s->names, c->name);
        c->next = s->free_code;
        s->free_code = code;
    }
}
