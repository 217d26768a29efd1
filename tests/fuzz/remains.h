/* tests/fuzz/remains.h - what a killed recorder leaves, in one input: numbers, the ring's header, its words, the output,
 * the file of definitions. */
#ifndef PMT_FUZZ_REMAINS_H
#define PMT_FUZZ_REMAINS_H

#include <stdint.h>

#include "core/ring.h"

typedef struct remains_head {
    uint32_t words, output, definitions; /* words: 8 bytes each; else bytes. Less, where the input is cut */
    uint32_t none;
    char shared[sizeof(pmt_ring_shared)]; /* not aligned as that is */
} remains_head;

#endif
