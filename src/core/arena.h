/* core/arena.h - the tracer's own memory: mapped and made resident at once, never taken from the heap it measures.
 *
 * `mapped` is what the tracer adds to RSS; the recorder reports each change of it as the tracer's, not the program's.
 * Mapping and unmapping under the GIL (or before any thread of ours runs). */
#ifndef PMT_ARENA_H
#define PMT_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct pmt_arena {
    int64_t mapped; /* bytes resident for us */
} pmt_arena;

void *pmt_arena_map(pmt_arena *a, size_t bytes); /* zeroed, resident, whole pages; NULL: errno set */
void *pmt_arena_map_file(pmt_arena *a, size_t bytes, int fd); /* shared with the file; resident; NULL: errno set */
void pmt_arena_unmap(pmt_arena *a, void *p, size_t bytes); /* NULL is fine */

/* A table of fixed items that grows by chunks and never moves: the writer may read an item while others are added. */
typedef struct pmt_table {
    char **chunks; /* owned; PMT_TABLE_CHUNKS pointers */
    pmt_arena *arena;
    uint32_t item; /* bytes */
    uint32_t shift; /* items a chunk, as a power of two */
    uint32_t ready; /* items below this have memory */
} pmt_table;

#define PMT_TABLE_CHUNKS 8192u

int pmt_table_init(pmt_table *t, pmt_arena *a, uint32_t item, uint32_t shift); /* 0 or -errno */
void pmt_table_free(pmt_table *t);                                             /* a zeroed table is fine */
int pmt_table_reach(pmt_table *t, uint32_t i); /* give item i memory: 0 or -errno (-EOVERFLOW: table full) */

static inline void *pmt_table_at(const pmt_table *t, uint32_t i)
{
    return t->chunks[i >> t->shift] + (size_t)(i & ((1u << t->shift) - 1)) * t->item;
}

#endif
