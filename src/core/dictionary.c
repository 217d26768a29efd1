/* DESIGN: what a site means is settled when it is defined: a code object defined anew changes sites defined later only.
 * Recorders define the sites of a code object again when its number gets a new meaning. */
#include "core/dictionary.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "core/capture.h"

#define FIRST_SLOTS 1024u
#define ID_LIMIT (1u << 28)

int pmt_dictionary_init(pmt_dictionary *d)
{
    memset(d, 0, sizeof *d);
    int rc = pmt_sites_init(&d->sites, &d->arena);
    if (rc == 0) {
        rc = pmt_table_init(&d->functions, &d->arena, sizeof(pmt_function), 12);
    }
    if (rc == 0) {
        rc = pmt_table_init(&d->by_code, &d->arena, sizeof(uint32_t), 15);
    }
    if (rc == 0) {
        rc = pmt_table_reach(&d->functions, 0); /* function 0 is none */
    }
    if (rc == 0 && (d->function_slots = pmt_arena_map(&d->arena, FIRST_SLOTS * sizeof *d->function_slots)) == NULL) {
        rc = -errno;
    }
    d->function_mask = FIRST_SLOTS - 1;
    d->function_count = 1;
    if (rc == 0) {
        d->threads = calloc(PMT_MAX_THREADS, sizeof *d->threads);
        rc = d->threads == NULL ? -ENOMEM : 0;
    }
    pmt_dictionary_forget(d);
    return rc;
}

void pmt_dictionary_free(pmt_dictionary *d)
{
    for (uint32_t id = 0; id < d->thread_high; id++) {
        free(d->threads[id]);
    }
    if (d->threads != NULL && d->thread_high < PMT_MAX_THREADS) {
        free(d->threads[PMT_MAX_THREADS - 1]); /* core/convert.c */
    }
    free(d->threads);
    free(d->by_site);
    free(d->retired);
    if (d->function_slots != NULL) {
        pmt_arena_unmap(&d->arena, d->function_slots, ((size_t)d->function_mask + 1) * sizeof *d->function_slots);
    }
    pmt_table_free(&d->functions);
    pmt_table_free(&d->by_code);
    pmt_sites_free(&d->sites);
    d->threads = NULL;
    d->thread_high = 0;
    d->retired = NULL;
    d->by_site = NULL;
    d->function_slots = NULL;
}

void pmt_dictionary_forget(pmt_dictionary *d) /* names go when their place is taken */
{
    d->codes = 1;
    d->high = PMT_SITE_FIRST;
    d->retired_count = 0;
    d->totals_missing = false;
}

static uint32_t hash_of(const pmt_function *f)
{
    uint64_t h = ((uint64_t)f->file << 32 | f->name) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 29 ^ (uint32_t)f->line ^ (uint64_t)f->c << 32) * 0xBF58476D1CE4E5B9u;
    return (uint32_t)(h >> 32);
}

static bool same(const pmt_function *f, const pmt_function *g)
{
    return f->file == g->file && f->name == g->name && f->line == g->line && f->c == g->c;
}

static void put_slot(uint32_t *slots, uint32_t mask, uint32_t hash, uint32_t id)
{
    uint32_t i = hash & mask;
    while (slots[i] != 0) {
        i = (i + 1) & mask;
    }
    slots[i] = id;
}

static bool grow_slots(pmt_dictionary *d)
{
    uint32_t mask = d->function_mask * 2 + 1;
    uint32_t *slots = pmt_arena_map(&d->arena, ((size_t)mask + 1) * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (uint32_t id = 1; id < d->function_count; id++) {
        put_slot(slots, mask, hash_of(pmt_dictionary_function(d, id)), id);
    }
    pmt_arena_unmap(&d->arena, d->function_slots, ((size_t)d->function_mask + 1) * sizeof *slots);
    d->function_slots = slots;
    d->function_mask = mask;
    return true;
}

static uint32_t intern(pmt_dictionary *d, pmt_function f) /* 0: no memory */
{
    uint32_t hash = hash_of(&f);
    for (uint32_t i = hash & d->function_mask; d->function_slots[i] != 0; i = (i + 1) & d->function_mask) {
        if (same(pmt_dictionary_function(d, d->function_slots[i]), &f)) {
            return d->function_slots[i];
        }
    }
    uint32_t id = d->function_count;
    if ((id * 2 > d->function_mask && !grow_slots(d)) || pmt_table_reach(&d->functions, id) < 0) {
        return 0;
    }
    pmt_names_keep(&d->sites.names, f.file);
    pmt_names_keep(&d->sites.names, f.name);
    *(pmt_function *)pmt_table_at(&d->functions, id) = f;
    put_slot(d->function_slots, d->function_mask, hash, id);
    d->function_count++;
    return id;
}

static int define_code(pmt_dictionary *d, pmt_bytes *b)
{
    size_t file_len, name_len;
    uint64_t id = pmt_get_varint(b), line = pmt_get_varint(b);
    const char *file = pmt_get_string(b, PMT_MAX_NAME, &file_len), *name = pmt_get_string(b, PMT_MAX_NAME, &name_len);
    if (b->bad || id == 0 || id > d->codes || id >= ID_LIMIT || line > INT32_MAX) {
        return -EBADMSG;
    }
    pmt_names *names = &d->sites.names;
    pmt_function f = {.line = (int32_t)line};
    if (pmt_table_reach(&d->sites.codes, (uint32_t)id) < 0 || pmt_table_reach(&d->by_code, (uint32_t)id) < 0) {
        return -ENOMEM;
    }
    f.file = pmt_names_add(names, file, file_len);
    f.name = pmt_names_add(names, name, name_len);
    uint32_t function = f.file != 0 && f.name != 0 ? intern(d, f) : 0;
    if (function == 0) {
        pmt_names_drop(names, f.file);
        pmt_names_drop(names, f.name);
        return -ENOMEM;
    }
    pmt_code *code = pmt_sites_code(&d->sites, (uint32_t)id);
    pmt_names_drop(names, code->file);
    pmt_names_drop(names, code->name);
    *code = (pmt_code){.file = f.file, .name = f.name, .first_line = (uint32_t)line};
    *(uint32_t *)pmt_table_at(&d->by_code, (uint32_t)id) = function;
    d->codes += id == d->codes;
    return 0;
}

static bool reach_site(pmt_dictionary *d, uint32_t id)
{
    if (id >= d->by_site_room) {
        uint32_t room = d->by_site_room == 0 ? 1024 : d->by_site_room * 2; /* ids are dense: twice is enough */
        pmt_place *places = aligned_alloc(64, room * sizeof *places);
        if (places == NULL) {
            return false;
        }
        for (uint32_t i = 0; i < room; i++) { /* also those below the first site: no event leads anywhere from there */
            places[i] = i < d->by_site_room ? d->by_site[i] : (pmt_place){.way = PMT_NO_WAY};
        }
        free(d->by_site);
        d->by_site = places;
        d->by_site_room = room;
    }
    return pmt_table_reach(&d->sites.sites, id) == 0 &&
           (d->sites.totals.item == 0 || pmt_table_reach(&d->sites.totals, id) == 0);
}

static int retire(pmt_dictionary *d, uint32_t id) /* 0 or -ENOMEM */
{
    pmt_site_total *t = pmt_sites_total(&d->sites, id);
    if (id < d->high && t->events > 0) {
        if (d->retired_count == d->retired_room) {
            uint32_t room = d->retired_room * 2 + 64;
            pmt_retired *more = realloc(d->retired, room * sizeof *more);
            if (more == NULL) {
                return -ENOMEM;
            }
            d->retired = more;
            d->retired_room = room;
        }
        d->retired[d->retired_count++] = (pmt_retired){d->by_site[id].function, pmt_place_what(d->by_site[id]),
                                                       pmt_sites_at(&d->sites, id)->line, *t};
    }
    *t = (pmt_site_total){0, 0};
    return 0;
}

static int take_total(pmt_dictionary *d, pmt_bytes *b)
{
    uint64_t id = pmt_get_varint(b), events = pmt_get_varint(b);
    int64_t pages = pmt_get_zigzag(b);
    if (b->bad || id < PMT_SITE_FIRST || id >= d->high) {
        return -EBADMSG;
    }
    if (d->sites.totals.item != 0) {
        *pmt_sites_total(&d->sites, (uint32_t)id) = (pmt_site_total){events, pages};
    }
    return 0;
}

int pmt_dictionary_totals(pmt_dictionary *d, pmt_bytes *b)
{
    d->totals_missing = pmt_get_byte(b) == 0;
    int rc = b->bad ? -EBADMSG : 0;
    while (rc == 0 && b->at < b->end) {
        rc = take_total(d, b);
    }
    return rc;
}

static int define_site(pmt_dictionary *d, pmt_bytes *b)
{
    size_t len;
    uint64_t id = pmt_get_varint(b), code = pmt_get_varint(b);
    uint8_t what = pmt_get_byte(b);
    int64_t line = pmt_get_zigzag(b);
    const char *text = pmt_get_string(b, PMT_MAX_NAME, &len);
    if (b->bad || id < PMT_SITE_FIRST || id > d->high || id >= ID_LIMIT || code == 0 || code >= d->codes ||
        what > PMT_CHARGED || line < INT32_MIN || line > INT32_MAX) {
        return -EBADMSG;
    }
    if (!reach_site(d, (uint32_t)id)) {
        return -ENOMEM;
    }
    if (d->sites.totals.item != 0 && !d->sink_counts && retire(d, (uint32_t)id) < 0) {
        return -ENOMEM;
    }
    pmt_names *names = &d->sites.names;
    uint32_t python = *(uint32_t *)pmt_table_at(&d->by_code, (uint32_t)code), function = python, name = PMT_NAME_NONE;
    if (what == PMT_C_CALL || what == PMT_C_RETURN || what == PMT_C_EXCEPT) {
        name = pmt_names_add(names, text, len);
        pmt_function f = {.file = pmt_sites_code(&d->sites, (uint32_t)code)->file, .name = name, .c = true};
        function = name != PMT_NAME_NONE ? intern(d, f) : 0;
        if (function == 0) {
            pmt_names_drop(names, name);
            return -ENOMEM;
        }
    }
    pmt_site *site = pmt_sites_at(&d->sites, (uint32_t)id);
    pmt_names_drop(names, site->name);
    *site = (pmt_site){.key = pmt_site_key((uint32_t)code, 0, (pmt_kind)what), .name = name, .line = (int32_t)line,
                       .generation = site->generation + 1};
    d->by_site[id] = (pmt_place){.function = function, .python_what = python << 3 | what, .way = PMT_NO_WAY};
    d->high += id == d->high;
    return 0;
}

static int define_thread(pmt_dictionary *d, pmt_bytes *b)
{
    size_t len;
    uint64_t id = pmt_get_varint(b), tid = pmt_get_varint(b);
    const char *name = pmt_get_string(b, PMT_MAX_NAME, &len);
    if (b->bad || id >= PMT_MAX_THREADS || tid > UINT32_MAX) {
        return -EBADMSG;
    }
    if (d->threads[id] == NULL && (d->threads[id] = calloc(1, sizeof *d->threads[id])) == NULL) {
        return -ENOMEM;
    }
    d->thread_high = id >= d->thread_high ? (uint32_t)id + 1 : d->thread_high;
    pmt_thread_name *t = d->threads[id];
    if (len > sizeof t->bytes) {
        for (len = sizeof t->bytes; len > 0 && ((uint8_t)name[len] & 0xC0) == 0x80; len--) { /* no half characters */
        }
    }
    t->tid = (uint32_t)tid;
    t->len = (uint32_t)len;
    memcpy(t->bytes, name, len);
    return 0;
}

int pmt_dictionary_apply(pmt_dictionary *d, pmt_bytes *b)
{
    while (b->at < b->end) {
        const uint8_t *start = b->at;
        int rc;
        switch (pmt_get_byte(b)) {
        case PMT_DEFINE_CODE:
            rc = define_code(d, b);
            break;
        case PMT_DEFINE_SITE:
            rc = define_site(d, b);
            break;
        case PMT_DEFINE_THREAD:
            rc = define_thread(d, b);
            break;
        case PMT_DEFINE_RETIRED:
            rc = take_total(d, b);
            break;
        default:
            rc = -EBADMSG;
        }
        if (rc < 0) {
            b->at = start;
            return rc;
        }
    }
    return 0;
}

const pmt_thread_name *pmt_dictionary_thread(const pmt_dictionary *d, uint32_t id)
{
    return id < PMT_MAX_THREADS ? d->threads[id] : NULL;
}

const pmt_thread_name *pmt_dictionary_thread_of(void *d, uint32_t id)
{
    return pmt_dictionary_thread(d, id);
}
