#include "core/blocks.h"

#include <errno.h>

#include "core/bytes.h"

int pmt_block_out_init(pmt_block_out *b, pmt_arena *a, uint32_t type, size_t room)
{
    *b = (pmt_block_out){.type = type, .room = room};
    b->bytes = pmt_arena_map(a, PMT_BLOCK_HEADER + room);
    return b->bytes == NULL ? -errno : 0;
}

void pmt_block_out_free(pmt_block_out *b, pmt_arena *a)
{
    if (b->bytes != NULL) {
        pmt_arena_unmap(a, b->bytes, PMT_BLOCK_HEADER + b->room);
    }
    b->bytes = NULL;
}

int pmt_block_out_write(pmt_block_out *b, pmt_output *o)
{
    uint8_t *h = b->bytes;
    pmt_store_u32(h, PMT_BLOCK_MAGIC);
    pmt_store_u32(h + 4, b->type);
    pmt_store_u32(h + 8, (uint32_t)b->n);
    pmt_store_u32(h + 12, 0);
    pmt_store_u64(h + 16, b->ring_from);
    pmt_store_u64(h + 24, b->ring_to);
    pmt_store_u64(h + 32, b->first_event);
    pmt_store_u32(h + 40, b->events);
    pmt_store_u32(h + 44, b->thread);
    pmt_store_u64(h + 48, b->clock);
    pmt_store_u64(h + 56, b->rss);
    pmt_store_u64(h + 64, b->pair.clock);
    pmt_store_u64(h + 72, (uint64_t)b->pair.ns);
    pmt_store_u64(h + 80, 0);
    size_t n = PMT_BLOCK_HEADER + b->n;
    pmt_store_u32(h + 12, pmt_crc32(0, h, n));
    b->n = 0;
    return pmt_output_write(o, (const char *)h, n);
}

int pmt_capture_begin(pmt_output *o, uint32_t page)
{
    uint8_t h[PMT_FILE_HEADER];
    memcpy(h, PMT_CAPTURE_MAGIC, 8);
    pmt_store_u32(h + 8, PMT_CAPTURE_VERSION | PMT_CAPTURE_ORDER << 16);
    pmt_store_u32(h + 12, page);
    return pmt_output_write(o, (const char *)h, sizeof h);
}

void pmt_block_out_define(pmt_block_out *b, const uint64_t *words, uint64_t mask, uint64_t at, uint32_t n)
{
    uint8_t *to = b->bytes + PMT_BLOCK_HEADER + b->n;
    for (uint32_t done = 0; done < n; done += 8, at++) {
        memcpy(to + done, &words[at & mask], n - done < 8 ? n - done : 8);
    }
    b->n += n;
}
