#include "core/growth.h"

#include <errno.h>
#include <string.h>

#define FIRST_SLOTS 1024u

int pmt_growth_init(pmt_growth *g, pmt_arena *a, pmt_names *names)
{
    memset(g, 0, sizeof *g);
    g->arena = a;
    g->names = names;
    g->slots = pmt_arena_map(a, FIRST_SLOTS * sizeof *g->slots);
    g->mask = FIRST_SLOTS - 1;
    return g->slots == NULL ? -errno : 0;
}

void pmt_growth_free(pmt_growth *g)
{
    if (g->slots != NULL) {
        pmt_arena_unmap(g->arena, g->slots, ((size_t)g->mask + 1) * sizeof *g->slots);
        g->slots = NULL;
    }
}

static pmt_grown *find(pmt_grown *slots, uint32_t mask, uint32_t file, uint32_t name, int32_t line)
{
    uint64_t h = ((uint64_t)file << 32 | name) * 0x9E3779B97F4A7C15u ^ (uint64_t)(uint32_t)line * 0xBF58476D1CE4E5B9u;
    uint32_t i = (uint32_t)(h ^ h >> 32) & mask;
    while (slots[i].times != 0 && (slots[i].file != file || slots[i].name != name || slots[i].line != line)) {
        i = (i + 1) & mask;
    }
    return &slots[i];
}

static bool grow(pmt_growth *g)
{
    uint32_t mask = g->mask * 2 + 1;
    pmt_grown *slots = pmt_arena_map(g->arena, ((size_t)mask + 1) * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i <= g->mask; i++) {
        if (g->slots[i].times != 0) {
            *find(slots, mask, g->slots[i].file, g->slots[i].name, g->slots[i].line) = g->slots[i];
        }
    }
    pmt_arena_unmap(g->arena, g->slots, ((size_t)g->mask + 1) * sizeof *slots);
    g->slots = slots;
    g->mask = mask;
    return true;
}

void pmt_growth_add(pmt_growth *g, uint32_t file, uint32_t name, int32_t line, int64_t bytes)
{
    pmt_grown *e = find(g->slots, g->mask, file, name, line);
    if (e->times == 0) {
        bool room = g->used * 2 <= g->mask || (g->used < PMT_MAX_GROWTH && grow(g));
        if (!room || g->used >= PMT_MAX_GROWTH) {
            e = &g->others;
        }
        else {
            e = find(g->slots, g->mask, file, name, line);
            *e = (pmt_grown){.file = file, .name = name, .line = line};
            pmt_names_keep(g->names, file);
            pmt_names_keep(g->names, name);
            g->used++;
        }
    }
    e->times += e->times < UINT32_MAX;
    e->net += bytes;
    e->up += bytes > 0 ? bytes : 0;
}
