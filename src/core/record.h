/* core/record.h - the words that travel in the ring: one stream, read by every sink.
 *
 * Any event is one word when everything is recorded:   [ time since the event before : 32 | site : 32 ]
 * A low half below PMT_SITE_FIRST is an escape:         [ payload : 32 | escape : 32 ] and the words named below.
 * Escapes stand before the event that they are about. */
#ifndef PMT_RECORD_H
#define PMT_RECORD_H

#include <stdint.h>

typedef enum pmt_kind { PMT_CALL, PMT_RETURN, PMT_C_CALL, PMT_C_RETURN, PMT_C_EXCEPT, PMT_CHARGED } pmt_kind;

enum {
    PMT_ESC_NONE,    /* never written: a zero word is no record */
    PMT_ESC_RSS,     /* + RSS, bytes */
    PMT_ESC_CLOCK,   /* + clock: the difference does not fit into 32 bits */
    PMT_ESC_THREAD,  /* payload: slot of the thread whose events follow */
    PMT_ESC_ROW,     /* payload: site; + event number, clock, RSS with PMT_ROW_PREV: an event that a filter let through */
    PMT_ESC_PEAK,    /* payload: site charged; + peak in bytes, number of the event at which it was seen */
    PMT_ESC_TRACER,  /* + change of the tracer's own memory, bytes, signed */
    PMT_ESC_NESTED,  /* payload: 1 suspended, 0 resumed */
    PMT_ESC_TEXT,    /* payload: bytes of a message; + so many bytes, padded with zeros to words */
    PMT_ESC_DEFINE,  /* payload: bytes of a definition (core/define.h); + so many bytes, padded likewise */
    PMT_ESC_COUNT
};

#define PMT_SITE_FIRST 16u              /* site ids begin here: what is below is an escape */
#define PMT_ROW_PREV (UINT64_C(1) << 63) /* in the RSS word of PMT_ESC_ROW: the event before a NEXT */
#define PMT_ROW_TIMED (UINT64_C(1) << 62) /* there, by pmt_convert only: the clock is in microseconds already */
#define PMT_MAX_TEXT 4096u              /* bytes of one PMT_ESC_TEXT; longer messages are several */
#define PMT_MAX_DEFINE (2 * 65536u + 64) /* bytes of one PMT_ESC_DEFINE: two names of core/names.h and some numbers */
#define PMT_RECORD_WORDS (2 + PMT_MAX_TEXT / 8)

_Static_assert(PMT_ESC_COUNT <= PMT_SITE_FIRST, "escapes and sites share the low half of a word");

static inline uint64_t pmt_word(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* Words of a record, by its first one; 0: no record. */
static inline uint32_t pmt_record_words(uint64_t word)
{
    static const uint8_t extra[PMT_ESC_COUNT] = {
        [PMT_ESC_RSS] = 1, [PMT_ESC_CLOCK] = 1, [PMT_ESC_ROW] = 3, [PMT_ESC_PEAK] = 2, [PMT_ESC_TRACER] = 1};
    uint32_t low = (uint32_t)word, high = (uint32_t)(word >> 32);
    if (low >= PMT_SITE_FIRST) {
        return 1;
    }
    if (low == PMT_ESC_TEXT) {
        return high <= PMT_MAX_TEXT ? 1 + (high + 7) / 8 : 0;
    }
    if (low == PMT_ESC_DEFINE) {
        return high <= PMT_MAX_DEFINE ? 1 + (high + 7) / 8 : 0;
    }
    return low == PMT_ESC_NONE || low >= PMT_ESC_COUNT ? 0 : 1u + extra[low];
}

#endif
