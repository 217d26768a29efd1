/* core/capture.h - numbers of the capture format that writer and reader share (docs/capture-format.md). */
#ifndef PMT_CAPTURE_H
#define PMT_CAPTURE_H

#include <stdint.h>

#define PMT_CAPTURE_MAGIC "\x89PMT\r\n\x1a\n"
#define PMT_CAPTURE_VERSION 1u
#define PMT_CAPTURE_ORDER 0x0102u
#define PMT_FILE_HEADER 16u       /* bytes */
#define PMT_BLOCK_MAGIC 0x42544D50u /* "PMTB" */
#define PMT_BLOCK_HEADER 88u
#define PMT_MAX_PAYLOAD (1u << 24)

enum { PMT_BLOCK_TEXT = 1, PMT_BLOCK_DEFINITIONS, PMT_BLOCK_EVENTS, PMT_BLOCK_TOTALS, PMT_BLOCK_END, PMT_BLOCK_SITES };
enum { PMT_DEFINE_CODE = 1, PMT_DEFINE_SITE, PMT_DEFINE_THREAD, PMT_DEFINE_RETIRED };

#define PMT_NEXT_PLACES 65536u /* of the table of successors: a site's place is its id modulo this */
#define PMT_TIME_BYTE 62u   /* of the six bits: one more byte follows */
#define PMT_TIME_VARINT 63u

uint32_t pmt_crc32(uint32_t crc, const void *bytes, uint64_t n); /* zlib's; begins with 0 */

#endif
