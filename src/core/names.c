#include "core/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES (1u << 18)
#define FIRST_SLOTS 4096u
#define CLASS_LEAST 5 /* 32 bytes */

typedef struct pmt_block {
    struct pmt_block *next;
    size_t bytes;
} pmt_block;

_Static_assert(sizeof(pmt_name) + PMT_MAX_NAME <= (1u << 17), "the largest class holds the longest name");
_Static_assert((1u << 17) + sizeof(pmt_block) <= BLOCK_BYTES, "a block holds the largest class");

static int new_block(pmt_names *n);

int pmt_names_init(pmt_names *n, pmt_arena *a)
{
    memset(n, 0, sizeof *n);
    n->arena = a;
    int rc = pmt_table_init(&n->entries, a, sizeof(pmt_name *), 12);
    if (rc < 0) {
        return rc;
    }
    n->slots = pmt_arena_map(a, FIRST_SLOTS * sizeof *n->slots);
    if (n->slots == NULL) {
        return -errno;
    }
    n->mask = FIRST_SLOTS - 1;
    n->high = 1;
    rc = pmt_table_reach(&n->entries, 1);
    return rc < 0 ? rc : new_block(n);
}

void pmt_names_free(pmt_names *n)
{
    for (pmt_block *b = n->blocks; b != NULL;) {
        pmt_block *next = b->next;
        pmt_arena_unmap(n->arena, b, b->bytes);
        b = next;
    }
    if (n->slots != NULL) {
        pmt_arena_unmap(n->arena, n->slots, ((size_t)n->mask + 1) * sizeof *n->slots);
    }
    pmt_table_free(&n->entries);
    n->blocks = NULL;
    n->slots = NULL;
}

static uint32_t hash_of(const char *bytes, size_t len)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ len;
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        h = (h ^ word) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
        bytes += 8;
        len -= 8;
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, len);
    h = (h ^ rest) * 0x94D049BB133111EBu;
    return (uint32_t)(h ^ h >> 32);
}

static unsigned class_of(size_t bytes)
{
    unsigned c = CLASS_LEAST;
    while (((size_t)1 << c) < bytes) {
        c++;
    }
    return c;
}

static int new_block(pmt_names *n) /* the rest of the old one is lost: at most a name's length */
{
    pmt_block *b = pmt_arena_map(n->arena, BLOCK_BYTES);
    if (b == NULL) {
        return -errno;
    }
    *b = (pmt_block){.next = n->blocks, .bytes = BLOCK_BYTES};
    n->blocks = b;
    n->block = (char *)(b + 1);
    n->block_end = (char *)b + BLOCK_BYTES;
    return 0;
}

static pmt_name *cut(pmt_names *n, size_t len)
{
    unsigned c = class_of(sizeof(pmt_name) + len);
    void *p = n->free_by_class[c];
    if (p != NULL) {
        memcpy(&n->free_by_class[c], p, sizeof(void *));
        return p;
    }
    size_t bytes = (size_t)1 << c;
    if ((size_t)(n->block_end - n->block) < bytes && new_block(n) < 0) {
        return NULL;
    }
    p = n->block;
    n->block += bytes;
    return p;
}

static int grow_slots(pmt_names *n)
{
    uint32_t mask = n->mask * 2 + 1;
    uint32_t *slots = pmt_arena_map(n->arena, ((size_t)mask + 1) * sizeof *slots);
    if (slots == NULL) {
        return -errno;
    }
    for (uint32_t i = 0; i <= n->mask; i++) {
        if (n->slots[i] != 0) {
            uint32_t j = pmt_names_at(n, n->slots[i])->hash & mask;
            while (slots[j] != 0) {
                j = (j + 1) & mask;
            }
            slots[j] = n->slots[i];
        }
    }
    pmt_arena_unmap(n->arena, n->slots, ((size_t)n->mask + 1) * sizeof *slots);
    n->slots = slots;
    n->mask = mask;
    return 0;
}

uint32_t pmt_names_add(pmt_names *n, const char *bytes, size_t len)
{
    char note[64];
    if (len > PMT_MAX_NAME) {
        len = (size_t)snprintf(note, sizeof note, "<name of %zu bytes>", len);
        bytes = note;
    }
    uint32_t hash = hash_of(bytes, len), i = hash & n->mask;
    for (; n->slots[i] != 0; i = (i + 1) & n->mask) {
        pmt_name *name = *(pmt_name **)pmt_table_at(&n->entries, n->slots[i]);
        if (name->hash == hash && name->len == len && memcmp(name->bytes, bytes, len) == 0) {
            name->refs++;
            return n->slots[i];
        }
    }
    if (n->used * 2 > n->mask) {
        if (grow_slots(n) < 0) {
            return PMT_NAME_NONE;
        }
        for (i = hash & n->mask; n->slots[i] != 0; i = (i + 1) & n->mask) {
        }
    }
    uint32_t id = n->free_id;
    if (id == 0 && pmt_table_reach(&n->entries, n->high) < 0) {
        return PMT_NAME_NONE;
    }
    pmt_name *name = cut(n, len);
    if (name == NULL) {
        return PMT_NAME_NONE;
    }
    if (id != 0) { /* a free entry holds the next free id in its pointer's place */
        n->free_id = (uint32_t) * (uintptr_t *)pmt_table_at(&n->entries, id);
    }
    else {
        id = n->high++;
    }
    *name = (pmt_name){.len = (uint32_t)len, .refs = 1, .hash = hash};
    memcpy(name->bytes, bytes, len);
    *(pmt_name **)pmt_table_at(&n->entries, id) = name;
    n->slots[i] = id;
    n->used++;
    return id;
}

void pmt_names_keep(pmt_names *n, uint32_t id)
{
    if (id != PMT_NAME_NONE) {
        (*(pmt_name **)pmt_table_at(&n->entries, id))->refs++;
    }
}

void pmt_names_drop(pmt_names *n, uint32_t id)
{
    if (id == PMT_NAME_NONE) {
        return;
    }
    pmt_name *name = *(pmt_name **)pmt_table_at(&n->entries, id);
    if (--name->refs > 0) {
        return;
    }
    uint32_t i = name->hash & n->mask;
    while (n->slots[i] != id) {
        i = (i + 1) & n->mask;
    }
    for (uint32_t j = (i + 1) & n->mask; n->slots[j] != 0; j = (j + 1) & n->mask) { /* close the gap */
        uint32_t home = pmt_names_at(n, n->slots[j])->hash & n->mask;
        if (((j - home) & n->mask) >= ((j - i) & n->mask)) {
            n->slots[i] = n->slots[j];
            i = j;
        }
    }
    n->slots[i] = 0;
    n->used--;
    unsigned c = class_of(sizeof(pmt_name) + name->len);
    memcpy(name, &n->free_by_class[c], sizeof(void *));
    n->free_by_class[c] = name;
    *(uintptr_t *)pmt_table_at(&n->entries, id) = n->free_id;
    n->free_id = id;
}
