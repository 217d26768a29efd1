/* core/bytes.h - numbers as bytes: varints, zigzag, and a reader of them that cannot run past its end.
 *
 * Reading never fails at once: what is cut or too large sets `bad`, gives 0, and everything after it gives 0 too. */
#ifndef PMT_BYTES_H
#define PMT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PMT_VARINT_ROOM 10

static inline uint8_t *pmt_put_varint(uint8_t *p, uint64_t value)
{
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline uint64_t pmt_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t pmt_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* A site as an item says it: how far it is from the one before, above the numbers of what is no event. */
static inline uint64_t pmt_said(uint32_t site, uint32_t before)
{
    return 16 + pmt_zigzag((int64_t)site - (int64_t)before);
}

static inline uint64_t pmt_unsaid(uint64_t said, uint32_t before) /* said: 16 or more; any result, if it was never said */
{
    return before + (uint64_t)pmt_unzigzag(said - 16);
}

typedef struct pmt_bytes {
    const uint8_t *at, *end;
    bool bad;
} pmt_bytes;

static inline uint8_t pmt_get_byte(pmt_bytes *b)
{
    if (b->at == b->end) {
        b->bad = true;
        return 0;
    }
    return *b->at++;
}

static inline uint64_t pmt_get_varint(pmt_bytes *b)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = pmt_get_byte(b);
        if (shift == 63 && byte > 1) {
            break; /* more than 64 bits */
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return b->bad ? 0 : value;
        }
    }
    b->bad = true;
    b->at = b->end;
    return 0;
}

static inline int64_t pmt_get_zigzag(pmt_bytes *b)
{
    return pmt_unzigzag(pmt_get_varint(b));
}

/* A string: its bytes, *n their number; at most `most`. Never NULL. */
static inline const char *pmt_get_string(pmt_bytes *b, size_t most, size_t *n)
{
    uint64_t len = pmt_get_varint(b);
    if (len > most || len > (uint64_t)(b->end - b->at)) {
        b->bad = true;
        b->at = b->end;
        len = 0;
    }
    const char *p = (const char *)b->at;
    b->at += len;
    *n = (size_t)len;
    return p;
}

static inline void pmt_store_u32(uint8_t *p, uint32_t value) /* little-endian */
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> 8 * i);
    }
}

static inline void pmt_store_u64(uint8_t *p, uint64_t value)
{
    pmt_store_u32(p, (uint32_t)value);
    pmt_store_u32(p + 4, (uint32_t)(value >> 32));
}

static inline uint32_t pmt_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t pmt_load_u64(const uint8_t *p)
{
    return pmt_load_u32(p) | (uint64_t)pmt_load_u32(p + 4) << 32;
}

#endif
