#include "core/arena.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *pmt_arena_map(pmt_arena *a, size_t bytes)
{
    bytes = whole_pages(bytes);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    a->mapped += (int64_t)bytes;
    return p;
}

void *pmt_arena_map_file(pmt_arena *a, size_t bytes, int fd)
{
    bytes = whole_pages(bytes);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    a->mapped += (int64_t)bytes;
    return p;
}

void pmt_arena_unmap(pmt_arena *a, void *p, size_t bytes)
{
    if (p != NULL) {
        bytes = whole_pages(bytes);
        munmap(p, bytes);
        a->mapped -= (int64_t)bytes;
    }
}

int pmt_table_init(pmt_table *t, pmt_arena *a, uint32_t item, uint32_t shift)
{
    *t = (pmt_table){.arena = a, .item = item, .shift = shift};
    t->chunks = pmt_arena_map(a, PMT_TABLE_CHUNKS * sizeof *t->chunks);
    return t->chunks == NULL ? -errno : 0;
}

void pmt_table_free(pmt_table *t)
{
    if (t->chunks == NULL) {
        return;
    }
    for (uint32_t c = 0; c < t->ready >> t->shift; c++) {
        pmt_arena_unmap(t->arena, t->chunks[c], (size_t)t->item << t->shift);
    }
    pmt_arena_unmap(t->arena, t->chunks, PMT_TABLE_CHUNKS * sizeof *t->chunks);
    t->chunks = NULL;
}

int pmt_table_reach(pmt_table *t, uint32_t i)
{
    while (i >= t->ready) {
        uint32_t chunk = t->ready >> t->shift;
        if (chunk >= PMT_TABLE_CHUNKS) {
            return -EOVERFLOW;
        }
        t->chunks[chunk] = pmt_arena_map(t->arena, (size_t)t->item << t->shift);
        if (t->chunks[chunk] == NULL) {
            return -errno;
        }
        t->ready += 1u << t->shift;
    }
    return 0;
}
