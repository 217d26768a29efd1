/* core/blocks.h - blocks of a capture on their way out: docs/capture-format.md. Writer thread, or recovery. */
#ifndef PMT_BLOCKS_H
#define PMT_BLOCKS_H

#include "core/capture.h"
#include "core/sink.h"

/* A payload under construction; room for the header before it. */
typedef struct pmt_block_out {
    uint8_t *bytes;  /* header, then the payload; from an arena */
    size_t room, n;  /* of the payload: bytes there may be, bytes there are */
    uint64_t ring_from, ring_to, first_event, clock, rss;
    uint32_t type, events, thread;
    pmt_pair pair;
} pmt_block_out;

int pmt_block_out_init(pmt_block_out *b, pmt_arena *a, uint32_t type, size_t room); /* 0 or -errno */
void pmt_block_out_free(pmt_block_out *b, pmt_arena *a);
int pmt_block_out_write(pmt_block_out *b, pmt_output *o); /* by one write(2) where possible; n is 0 then. 0 or -errno */

int pmt_capture_begin(pmt_output *o, uint32_t page); /* the file header: 0 or -errno */

/* Adds the bytes of a PMT_ESC_DEFINE record (words[at & mask] is its first word of bytes). There must be room. */
void pmt_block_out_define(pmt_block_out *b, const uint64_t *words, uint64_t mask, uint64_t at, uint32_t n);

#endif
