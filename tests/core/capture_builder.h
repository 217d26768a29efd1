/* tests/core/capture_builder.h - a capture written by the page docs/capture-format.md alone: nothing of src/core is used,
 * so that its mistakes and the reader's do not agree. Everything can be said wrongly: nothing is checked. */
#ifndef PMT_TEST_CAPTURE_BUILDER_H
#define PMT_TEST_CAPTURE_BUILDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B_TEXT = 1, B_DEFINITIONS, B_EVENTS, B_TOTALS, B_END };
enum { B_CALL, B_RETURN, B_C_CALL, B_C_RETURN, B_C_EXCEPT, B_CHARGED };
#define B_SITES 65536u

typedef struct builder {
    uint8_t *bytes;
    size_t n, room, block;     /* block: where the one at hand begins */
    uint32_t page, events, thread;
    uint64_t ring_from, ring, event, clock, rss; /* rss in bytes */
    uint64_t pair_ns;          /* the clock unit is 25 ns here */
    uint32_t next[B_SITES], previous;
} builder;

static inline void b_bytes(builder *b, const void *bytes, size_t n)
{
    if (b->n + n > b->room) {
        b->room = (b->room + n) * 2 + 4096;
        b->bytes = realloc(b->bytes, b->room);
        if (b->bytes == NULL) {
            abort();
        }
    }
    if (n > 0) {
        memcpy(b->bytes + b->n, bytes, n);
    }
    b->n += n;
}

static inline void b_byte(builder *b, unsigned byte)
{
    uint8_t one = (uint8_t)byte;
    b_bytes(b, &one, 1);
}

static inline void b_varint(builder *b, uint64_t value)
{
    do {
        b_byte(b, (unsigned)(value & 127) + (value > 127 ? 128 : 0));
        value /= 128;
    } while (value > 0);
}

static inline void b_zigzag(builder *b, int64_t value)
{
    b_varint(b, value >= 0 ? (uint64_t)value * 2 : ((uint64_t)-(value + 1)) * 2 + 1);
}

static inline void b_string(builder *b, const char *text)
{
    b_varint(b, strlen(text));
    b_bytes(b, text, strlen(text));
}

static inline void b_number(builder *b, size_t at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        b->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
    }
}

static inline uint32_t b_crc(const uint8_t *bytes, size_t n)
{
    static uint32_t table[256];
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++) {
            table[i] = table[i] & 1 ? 0xEDB88320u ^ table[i] >> 1 : table[i] >> 1;
        }
    }
    for (size_t i = 0; i < n; i++) {
        crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    }
    return crc ^ 0xFFFFFFFFu;
}

/* The CRC of the block at `at`, whose length stands in its header; false: there is no whole block. */
static inline bool b_fix_crc(uint8_t *bytes, size_t n, size_t at)
{
    if (n < 88 || at > n - 88) {
        return false;
    }
    uint8_t *h = bytes + at;
    size_t len = h[8] | (size_t)h[9] << 8 | (size_t)h[10] << 16 | (size_t)h[11] << 24;
    if (len > n - 88 - at) {
        return false;
    }
    memset(h + 12, 0, 4);
    uint32_t crc = b_crc(h, 88 + len);
    for (int i = 0; i < 4; i++) {
        h[12 + i] = (uint8_t)(crc >> 8 * i);
    }
    return true;
}

static inline void b_begin(builder *b, unsigned type)
{
    static const uint8_t zeros[88];
    b->block = b->n;
    b_bytes(b, zeros, sizeof zeros);
    memcpy(b->bytes + b->block, "PMTB", 4);
    b_number(b, b->block + 4, type, 4);
    b_number(b, b->block + 16, b->ring, 8);
    b_number(b, b->block + 32, b->event, 8);
    b_number(b, b->block + 44, b->thread, 4);
    b_number(b, b->block + 48, b->clock, 8);
    b_number(b, b->block + 56, b->rss, 8);
    memset(b->next, 0, sizeof b->next);
    b->previous = 0;
    b->events = 0;
}

static inline void b_finish(builder *b)
{
    b_number(b, b->block + 8, b->n - b->block - 88, 4);
    b_number(b, b->block + 24, b->ring, 8);
    b_number(b, b->block + 40, b->events, 4);
    b_number(b, b->block + 64, b->clock, 8);
    b_number(b, b->block + 72, b->clock * 25 + 1000, 8);
    b_fix_crc(b->bytes, b->n, b->block);
}

static inline void b_file(builder *b, uint32_t page)
{
    static const uint8_t magic[8] = {0x89, 'P', 'M', 'T', 13, 10, 26, 10};
    b->page = page;
    b_bytes(b, magic, 8);
    b_bytes(b, "\1\0\2\1\0\0\0\0", 8);
    b_number(b, b->n - 4, page, 4);
}

static inline void b_text(builder *b, unsigned type, const char *text)
{
    b_begin(b, type);
    b_bytes(b, text, strlen(text));
    b_finish(b);
}

/* A file header and the header block: the recording begins with this clock, RSS and thread. */
static inline void b_start(builder *b, uint32_t page, uint64_t clock, uint64_t rss)
{
    memset(b, 0, sizeof *b);
    b_file(b, page);
    b->clock = clock;
    b->rss = rss;
    b_text(b, B_TEXT, "# format: 1\nEvent ...\n");
    b_number(b, 16 + 48, 500, 8); /* the process's start */
    b_fix_crc(b->bytes, b->n, 16);
}

static inline void b_code(builder *b, uint64_t id, uint64_t line, const char *file, const char *name)
{
    b_byte(b, 1);
    b_varint(b, id);
    b_varint(b, line);
    b_string(b, file);
    b_string(b, name);
}

static inline void b_site(builder *b, uint64_t id, uint64_t code, unsigned what, int64_t line, const char *name)
{
    b_byte(b, 2);
    b_varint(b, id);
    b_varint(b, code);
    b_byte(b, what);
    b_zigzag(b, line);
    b_string(b, name);
}

static inline void b_thread(builder *b, uint64_t id, uint64_t tid, const char *name)
{
    b_byte(b, 3);
    b_varint(b, id);
    b_varint(b, tid);
    b_string(b, name);
}

static inline void b_event(builder *b, uint64_t time, uint32_t site, int64_t pages)
{
    bool said = b->next[b->previous % B_SITES] != site;
    b_byte(b, (said ? 1u : 0u) | (pages != 0 ? 2u : 0u) | (time < 62 ? (unsigned)time : time < 62 + 256 ? 62u : 63u) << 2);
    if (time >= 62 && time < 62 + 256) {
        b_byte(b, (unsigned)time - 62);
    }
    else if (time >= 62) {
        b_varint(b, time);
    }
    if (said) {
        int64_t far = (int64_t)site - (int64_t)b->previous;
        b_varint(b, 16 + (uint64_t)(far >= 0 ? 2 * far : -2 * far - 1));
    }
    if (pages != 0) {
        b_zigzag(b, pages);
    }
    b->next[b->previous % B_SITES] = site;
    b->previous = site;
    b->clock += time;
    b->rss += (uint64_t)(pages * (int64_t)b->page);
    b->ring++;
    b->event++;
    b->events++;
}

static inline void b_control(builder *b, unsigned kind)
{
    b_byte(b, 1);
    b_varint(b, kind);
    b->ring += 2;
}

static inline void b_switch(builder *b, uint32_t thread)
{
    b_control(b, 3);
    b_varint(b, thread);
    b->thread = thread;
}

static inline void b_peak(builder *b, uint64_t site, uint64_t bytes)
{
    b_control(b, 5);
    b_varint(b, site);
    b_varint(b, bytes);
    b_varint(b, b->event);
}

static inline void b_tracer(builder *b, int64_t bytes)
{
    b_control(b, 6);
    b_zigzag(b, bytes);
}

static inline void b_nested(builder *b, bool begins, int64_t pages)
{
    b_control(b, 7);
    b_varint(b, begins);
    b_zigzag(b, pages);
    b->rss += (uint64_t)(pages * (int64_t)b->page);
}

static inline void b_message(builder *b, const char *text)
{
    b_control(b, 8);
    b_string(b, text);
}

static inline void b_free(builder *b)
{
    free(b->bytes);
    b->bytes = NULL;
}

static inline void b_save(const void *bytes, size_t n, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || (n > 0 && fwrite(bytes, 1, n, f) != n) || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
}

#endif
