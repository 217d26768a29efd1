/* core/define.h - what an id means, as bytes: docs/capture-format.md, "Definitions". Travels in the ring as
 * PMT_ESC_DEFINE, before the first record that uses it, and is kept by every sink that somebody may have to recover. */
#ifndef PMT_DEFINE_H
#define PMT_DEFINE_H

#include "core/record.h"
#include "core/sink.h"

/* Into `to`, which has PMT_MAX_DEFINE bytes; the number of bytes. */
size_t pmt_define_code(uint8_t *to, const pmt_sites *s, uint32_t code);
size_t pmt_define_site(uint8_t *to, const pmt_sites *s, uint32_t site);
size_t pmt_define_thread(uint8_t *to, uint32_t slot, const pmt_thread_name *name);

#endif
