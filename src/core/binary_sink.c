/* DESIGN: one byte an event, where the site is the one that followed last time, RSS is unchanged and less than 62 clock
 * units have passed; docs/capture-format.md has the rest. Each call of records() makes one block of events, 64 KiB of
 * ring, with the definitions that it needs in a block before it: a block can be decoded from its own start, and the ring
 * lets go only of what is in the file. */
#include <errno.h>
#include <string.h>

#include "core/blocks.h"
#include "core/bytes.h"
#include "core/record.h"

#define EVENTS_BYTES (1u << 18)      /* three times what 64 KiB of ring make */
#define ITEM_BYTES (PMT_MAX_TEXT + 64u) /* more than any item but a definition */
#define DEFINITIONS_BYTES (1u << 18)

_Static_assert(DEFINITIONS_BYTES > 1 << 17 && PMT_MAX_DEFINE < DEFINITIONS_BYTES, "a definition fits into a block");

typedef struct binary_sink {
    pmt_sink base;
    pmt_arena *arena;
    const pmt_source *source;
    int error;                /* -errno of the first write that failed */
    pmt_block_out events, definitions;
    uint64_t event, clock;    /* of the next event, of the last */
    uint64_t rss;             /* the stream's, and as the items have said it */
    uint64_t rss_said, clock_said;
    uint32_t thread, site;
    uint32_t block;           /* number of the block: tells which places of next[] hold */
    int64_t whole;            /* size of the file at the end of its last whole block */
    uint64_t *next;           /* by site: block : 32 | site that followed : 32 */
    pmt_pair pair;
} binary_sink;

static void begin_block(binary_sink *s, uint64_t at)
{
    s->events.ring_from = at;
    s->events.first_event = s->event;
    s->events.events = 0;
    s->events.thread = s->thread;
    s->events.clock = s->clock_said = s->clock;
    s->events.rss = s->rss_said;
    s->site = 0;
    s->block++;
}

static void write_block(binary_sink *s, pmt_block_out *b)
{
    if (s->error == 0) {
        s->error = pmt_block_out_write(b, s->source->output);
        if (s->error == 0) {
            s->whole = s->source->output->size;
        }
        else {
            pmt_output_cut(s->source->output, s->whole); /* keep the whole blocks */
        }
    }
    b->n = 0;
}

static void flush(binary_sink *s, uint64_t at, pmt_pair now)
{
    if (s->definitions.n > 0) {
        s->definitions.ring_from = s->definitions.ring_to = s->events.ring_from;
        s->definitions.first_event = s->events.first_event;
        s->definitions.clock = s->events.clock;
        s->definitions.rss = s->events.rss;
        s->definitions.thread = s->events.thread;
        s->definitions.pair = s->pair; /* the one before: definitions take no time */
        write_block(s, &s->definitions);
    }
    if (s->events.n > 0) {
        s->events.ring_to = at;
        s->events.pair = s->pair = now;
        write_block(s, &s->events);
    }
    begin_block(s, at);
}

static int64_t pages(const binary_sink *s, uint64_t rss)
{
    return ((int64_t)rss - (int64_t)s->rss_said) / (int64_t)s->source->page;
}

static inline uint8_t *put_event(binary_sink *s, uint8_t *p, uint32_t site)
{
    uint64_t time = s->clock - s->clock_said, *next = &s->next[s->site & (PMT_NEXT_PLACES - 1)];
    uint64_t expected = (uint64_t)s->block << 32 | site;
    bool said = *next != expected, changed = s->rss != s->rss_said;
    uint64_t t = time < PMT_TIME_BYTE ? time : time < PMT_TIME_BYTE + 256 ? PMT_TIME_BYTE : PMT_TIME_VARINT;
    *p++ = (uint8_t)(t << 2 | (uint64_t)changed << 1 | (uint64_t)said);
    if (__builtin_expect(t >= PMT_TIME_BYTE, 0)) {
        if (t == PMT_TIME_BYTE) {
            *p++ = (uint8_t)(time - PMT_TIME_BYTE);
        }
        else {
            p = pmt_put_varint(p, time);
        }
    }
    if (said) {
        p = pmt_put_varint(p, site);
        *next = expected;
    }
    if (__builtin_expect(changed, 0)) {
        p = pmt_put_varint(p, pmt_zigzag(pages(s, s->rss)));
        s->rss_said = s->rss;
    }
    s->clock_said = s->clock;
    s->site = site;
    return p;
}

static uint8_t *put_escape(binary_sink *s, uint8_t *p, const uint64_t *words, uint64_t mask, uint64_t at)
{
    uint64_t word = words[at & mask], first = words[(at + 1) & mask];
    uint32_t payload = (uint32_t)(word >> 32), escape = (uint32_t)word;
    if (escape == PMT_ESC_RSS) {
        s->rss = first;
        return p;
    }
    if (escape == PMT_ESC_CLOCK) {
        s->clock = first;
        return p;
    }
    *p++ = 0x01;
    p = pmt_put_varint(p, escape);
    switch (escape) {
    case PMT_ESC_THREAD:
        s->thread = payload;
        return pmt_put_varint(p, payload);
    case PMT_ESC_PEAK:
        p = pmt_put_varint(p, payload);
        p = pmt_put_varint(p, first);
        return pmt_put_varint(p, words[(at + 2) & mask]);
    case PMT_ESC_TRACER:
        return pmt_put_varint(p, pmt_zigzag((int64_t)first));
    case PMT_ESC_NESTED:
        p = pmt_put_varint(p, payload);
        p = pmt_put_varint(p, pmt_zigzag(pages(s, s->rss)));
        s->rss_said = s->rss;
        return p;
    case PMT_ESC_TEXT:
        p = pmt_put_varint(p, payload);
        for (uint32_t done = 0; done < payload; done += 8) {
            memcpy(p + done, &words[++at & mask], payload - done < 8 ? payload - done : 8);
        }
        return p + payload;
    default: /* a record that no capture has */
        s->error = s->error == 0 ? -EIO : s->error;
        return p;
    }
}

static int binary_records(pmt_sink *base, const uint64_t *words, uint64_t mask, uint64_t *at, uint64_t to, uint64_t most,
                          pmt_pair now)
{
    binary_sink *s = (binary_sink *)base;
    uint64_t from = *at, enough = from + most;
    uint8_t *start = s->events.bytes + PMT_BLOCK_HEADER, *p = start + s->events.n;
    s->events.ring_from = from;
    while (from < to && from < enough && s->error == 0) {
        uint64_t word = words[from & mask];
        if (__builtin_expect((size_t)(p - start) + ITEM_BYTES > EVENTS_BYTES, 0)) {
            s->events.n = (size_t)(p - start);
            flush(s, from, now);
            p = start;
        }
        if ((uint32_t)word >= PMT_SITE_FIRST) {
            s->clock += word >> 32;
            p = put_event(s, p, (uint32_t)word);
            s->event++;
            s->events.events++;
            s->base.rows++;
            from++;
            continue;
        }
        uint32_t n = pmt_record_words(word);
        if (n == 0) {
            s->error = -EIO;
            break;
        }
        if ((uint32_t)word != PMT_ESC_DEFINE) {
            p = put_escape(s, p, words, mask, from);
        }
        else {
            if (s->definitions.n + (word >> 32) > DEFINITIONS_BYTES) {
                s->events.n = (size_t)(p - start);
                flush(s, from, now);
                p = start;
            }
            pmt_block_out_define(&s->definitions, words, mask, from + 1, (uint32_t)(word >> 32));
            /* In this chunk no event had another meaning of that id: ids are given again only when the tail has passed
             * the last event that used them. */
        }
        from += n;
    }
    s->events.n = (size_t)(p - start);
    flush(s, from, now);
    *at = from;
    return s->error;
}

static int put_text_block(binary_sink *s, uint32_t type, const char *text, size_t n)
{
    pmt_block_out *b = &s->events;
    s->events.n = 0;
    while (s->error == 0) {
        size_t part = n < EVENTS_BYTES ? n : EVENTS_BYTES;
        b->type = type;
        b->ring_to = b->ring_from;
        b->events = 0;
        b->pair = s->pair;
        memcpy(b->bytes + PMT_BLOCK_HEADER, text, part);
        b->n = part;
        uint64_t clock = b->clock;
        if (type == PMT_BLOCK_TEXT) {
            b->clock = (uint64_t)s->source->process_start_ns;
        }
        write_block(s, b);
        b->clock = clock;
        b->type = PMT_BLOCK_EVENTS;
        text += part;
        n -= part;
        if (n == 0) {
            break;
        }
    }
    return s->error;
}

static int binary_begin(pmt_sink *base, const char *text, size_t n)
{
    binary_sink *s = (binary_sink *)base;
    s->error = pmt_capture_begin(s->source->output, s->source->page);
    return s->error < 0 ? s->error : put_text_block(s, PMT_BLOCK_TEXT, text, n);
}

static uint8_t *put_name(const binary_sink *s, uint8_t *p, uint32_t id)
{
    const pmt_name *name = pmt_names_at(&s->source->sites->names, id);
    size_t n = name == NULL ? 0 : name->len;
    p = pmt_put_varint(p, n);
    memcpy(p, name == NULL ? "" : name->bytes, n);
    return p + n;
}

static void put_total(binary_sink *s, const pmt_grown *g, int32_t line)
{
    pmt_block_out *b = &s->definitions; /* the only other buffer; nothing is in it at the end */
    if (b->n + 2 * PMT_MAX_NAME + 5 * PMT_VARINT_ROOM > DEFINITIONS_BYTES) {
        write_block(s, b);
    }
    uint8_t *p = b->bytes + PMT_BLOCK_HEADER + b->n, *start = p;
    p = put_name(s, p, g->file);
    p = pmt_put_varint(p, pmt_zigzag(line));
    p = put_name(s, p, g->name);
    p = pmt_put_varint(p, pmt_zigzag(g->net));
    p = pmt_put_varint(p, g->times);
    b->n += (size_t)(p - start);
}

static void put_totals(binary_sink *s)
{
    const pmt_growth *g = s->source->growth;
    pmt_block_out *b = &s->definitions;
    if (g == NULL) {
        return;
    }
    b->type = PMT_BLOCK_TOTALS;
    b->ring_from = b->ring_to = s->events.ring_from;
    b->first_event = s->event;
    b->clock = s->events.clock;
    b->rss = s->events.rss;
    b->pair = s->pair;
    for (uint32_t i = 0; i <= g->mask; i++) {
        if (g->slots[i].times != 0) {
            put_total(s, &g->slots[i], g->slots[i].line);
        }
    }
    if (g->others.times != 0) {
        put_total(s, &g->others, -1);
    }
    if (b->n > 0) {
        write_block(s, b);
    }
    b->type = PMT_BLOCK_DEFINITIONS;
}

static int binary_end(pmt_sink *base, const char *text, size_t n)
{
    binary_sink *s = (binary_sink *)base;
    put_totals(s);
    return put_text_block(s, PMT_BLOCK_END, text, n);
}

static int binary_note(pmt_sink *base, const char *line, size_t n) /* for pipes: what stood before is the truth still */
{
    (void)base, (void)line, (void)n;
    return 0;
}

static int binary_reopen(pmt_sink *base, int64_t size)
{
    binary_sink *s = (binary_sink *)base;
    s->whole = size;
    return pmt_output_cut(s->source->output, size);
}

static void binary_keep(const pmt_sink *base, pmt_checkpoint *c)
{
    const binary_sink *s = (const binary_sink *)base;
    c->output = s->source->output->size;
    c->definitions = 0;
    c->event = s->event;
    c->clock = s->clock;
    c->rss = s->rss;
    c->rss_shown = (int64_t)s->rss_said;
    c->thread = s->thread;
    c->rows = s->base.rows;
    c->timeline.from = s->pair;
}

static void binary_resume(pmt_sink *base, const pmt_checkpoint *c)
{
    binary_sink *s = (binary_sink *)base;
    s->event = c->event;
    s->clock = c->clock;
    s->rss = c->rss;
    s->rss_said = (uint64_t)c->rss_shown;
    s->thread = c->thread;
    s->base.rows = c->rows;
    s->pair = c->timeline.from;
    s->whole = c->output;
    begin_block(s, c->tail);
}

static void binary_close(pmt_sink *base)
{
    binary_sink *s = (binary_sink *)base;
    pmt_arena *arena = s->arena;
    pmt_block_out_free(&s->events, arena);
    pmt_block_out_free(&s->definitions, arena);
    pmt_arena_unmap(arena, s->next, PMT_NEXT_PLACES * sizeof *s->next);
    pmt_arena_unmap(arena, s, sizeof *s);
}

pmt_sink *pmt_binary_sink_new(pmt_arena *a, const pmt_source *source)
{
    binary_sink *s = pmt_arena_map(a, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->base = (pmt_sink){binary_begin, binary_records, binary_end,    binary_note, binary_reopen,
                         binary_keep,  binary_resume,  binary_close, 0};
    s->arena = a;
    s->source = source;
    s->clock = source->first.clock;
    s->pair = source->first;
    s->next = pmt_arena_map(a, PMT_NEXT_PLACES * sizeof *s->next);
    if (s->next == NULL || pmt_block_out_init(&s->events, a, PMT_BLOCK_EVENTS, EVENTS_BYTES) < 0 ||
        pmt_block_out_init(&s->definitions, a, PMT_BLOCK_DEFINITIONS, DEFINITIONS_BYTES) < 0) {
        int saved = errno;
        binary_close(&s->base);
        errno = saved;
        return NULL;
    }
    begin_block(s, 0);
    return &s->base;
}
