/* DESIGN: one byte an event, where the site is the one that followed last time, RSS is unchanged and less than 62 clock
 * units have passed; docs/capture-format.md has the rest. Each call of records() makes one block of events, 64 KiB of
 * ring, with the definitions that it needs in a block before it: a block can be decoded from its own start, and the ring
 * lets go only of what is in the file.
 *
 * With --keep, blocks of events go to segments, of which the oldest are removed before there would be too much. Each
 * begins with what all sites had seen before it: so totals are exact for the whole recording, whatever is left of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/blocks.h"
#include "core/bytes.h"
#include "core/record.h"
#include "core/segments.h"

#define EVENTS_BYTES (1u << 18)      /* three times what 64 KiB of ring make */
#define ITEM_BYTES (PMT_MAX_TEXT + 64u) /* more than any item but a definition */
#define DEFINITIONS_BYTES (1u << 18)
#define SEGMENTS 8                   /* of which one or two are removed at a time */
#define TOTAL_BYTES (3 * PMT_VARINT_ROOM)

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
    uint64_t segment, oldest; /* numbers of the one at hand and of the oldest that is there; 0: no segments */
    int64_t kept, segment_whole; /* bytes: of all segments; of the one at hand, at the end of its last whole block */
    uint32_t counted, sites;  /* sites that were in an event; largest id that was defined + 1 */
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

static void write_to(binary_sink *s, pmt_block_out *b, pmt_output *o, int64_t *whole)
{
    if (s->error == 0) {
        s->error = pmt_block_out_write(b, o);
        if (s->error == 0) {
            *whole = o->size;
        }
        else {
            pmt_output_cut(o, *whole); /* keep the whole blocks */
        }
    }
    b->n = 0;
}

static void write_block(binary_sink *s, pmt_block_out *b)
{
    write_to(s, b, s->source->output, &s->whole);
}

/* --- segments -------------------------------------------------------------------------------------------------------- */

static void remove_oldest(binary_sink *s)
{
    char name[4096 + PMT_SEGMENT_SUFFIX];
    struct stat st;
    if (strlen(s->source->output->path) < sizeof name - PMT_SEGMENT_SUFFIX) {
        pmt_segment_name(name, s->source->output->path, s->oldest);
        s->kept -= stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
        unlink(name);
    }
    s->oldest++;
}

/* A block that goes to the segment at hand; older ones make room for it. */
static void write_kept(binary_sink *s, pmt_block_out *b)
{
    int64_t n = (int64_t)(PMT_BLOCK_HEADER + b->n), before = s->source->segment->size;
    while (s->kept + n > s->source->keep && s->oldest < s->segment) {
        remove_oldest(s);
    }
    write_to(s, b, s->source->segment, &s->segment_whole);
    s->kept += s->source->segment->size - before;
}

/* What the sites have seen so far; an empty block where that would take more than a quarter of all. */
static void put_sites(binary_sink *s)
{
    const pmt_sites *sites = s->source->sites;
    pmt_block_out *b = &s->definitions; /* nothing is in it while there are no definitions to write */
    b->type = PMT_BLOCK_SITES;
    b->ring_from = b->ring_to = s->events.ring_from;
    b->first_event = s->event;
    b->clock = s->events.clock;
    b->rss = s->events.rss;
    b->pair = s->source->first; /* says whose segment it is */
    bool room = (int64_t)s->counted * TOTAL_BYTES <= s->source->keep / 4;
    b->bytes[PMT_BLOCK_HEADER] = room;
    b->n = 1;
    for (uint32_t id = PMT_SITE_FIRST; room && id < s->sites; id++) {
        const pmt_site_total *t = pmt_sites_total(sites, id);
        if (t->events == 0) {
            continue;
        }
        if (b->n + TOTAL_BYTES > DEFINITIONS_BYTES) {
            write_kept(s, b);
            b->bytes[PMT_BLOCK_HEADER] = room;
            b->n = 1;
        }
        uint8_t *p = b->bytes + PMT_BLOCK_HEADER + b->n, *start = p;
        p = pmt_put_varint(p, id);
        p = pmt_put_varint(p, t->events);
        p = pmt_put_varint(p, pmt_zigzag(t->pages));
        b->n += (size_t)(p - start);
    }
    write_kept(s, b);
    b->type = PMT_BLOCK_DEFINITIONS;
}

/* Between two blocks: the next segment, if the one at hand is long enough. */
static void next_segment(binary_sink *s)
{
    pmt_output *o = s->source->segment;
    if (o == NULL || s->error != 0 || (s->segment > 0 && o->size < s->source->keep / SEGMENTS)) {
        return;
    }
    bool high = s->segment == 0 ? s->source->output->high : o->high;
    pmt_output_close(o);
    pmt_segment_name(o->path, s->source->output->path, s->segment + 1);
    o->created = false;
    o->size = s->segment_whole = 0;
    s->error = pmt_output_open(o, high);
    if (s->error == 0) {
        s->segment++;
        s->oldest = s->oldest == 0 ? 1 : s->oldest;
        s->error = pmt_capture_begin(o, s->source->page);
        s->kept += o->size;
        s->segment_whole = o->size;
        put_sites(s);
    }
}

/* A definition is about to be written. Where it gives a site a new meaning, what the old one had seen goes before it. */
static void before_definition(binary_sink *s, const uint64_t *words, uint64_t mask, uint64_t at, uint32_t n)
{
    uint8_t first[16] = {0};
    pmt_block_out *b = &s->definitions;
    for (uint32_t done = 0; done < 16 && done < n; done += 8) {
        memcpy(first + done, &words[(at + done / 8) & mask], 8);
    }
    pmt_bytes in = {first + 1, first + (n < 1 ? 1 : n < 16 ? n : 16), false};
    uint64_t id = pmt_get_varint(&in);
    if (first[0] != PMT_DEFINE_SITE || in.bad) {
        return;
    }
    s->sites = id >= s->sites ? (uint32_t)id + 1 : s->sites;
    pmt_site_total *t = pmt_sites_total(s->source->sites, (uint32_t)id);
    if (t->events > 0) {
        uint8_t *p = b->bytes + PMT_BLOCK_HEADER + b->n, *start = p;
        *p++ = PMT_DEFINE_RETIRED;
        p = pmt_put_varint(p, id);
        p = pmt_put_varint(p, t->events);
        p = pmt_put_varint(p, pmt_zigzag(t->pages));
        b->n += (size_t)(p - start);
        *t = (pmt_site_total){0, 0};
        s->counted--;
    }
}

static void resume_segments(binary_sink *s, const pmt_checkpoint *c)
{
    const pmt_sites *sites = s->source->sites;
    uint64_t *numbers;
    size_t count;
    struct stat st;
    s->segment = s->oldest = c->segment;
    s->segment_whole = s->source->segment->size;
    s->sites = sites->totals.ready;
    for (uint32_t id = PMT_SITE_FIRST; id < s->sites; id++) {
        s->counted += pmt_sites_total(sites, id)->events > 0;
    }
    if (pmt_segments_find(s->source->output->path, &s->source->first, &numbers, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            char name[4096 + PMT_SEGMENT_SUFFIX];
            if (strlen(s->source->output->path) < 4096) {
                pmt_segment_name(name, s->source->output->path, numbers[i]);
                s->kept += stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
                s->oldest = numbers[i] < s->oldest ? numbers[i] : s->oldest;
            }
        }
        free(numbers);
    }
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

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
        if (s->source->segment != NULL) {
            write_kept(s, &s->events);
        }
        else {
            write_block(s, &s->events);
        }
        s->base.rows += s->error == 0 ? s->events.events : 0;
    }
    begin_block(s, at);
    next_segment(s);
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
        p = pmt_put_varint(p, pmt_said(site, s->site));
        *next = expected;
    }
    int64_t change = 0;
    if (__builtin_expect(changed, 0)) {
        change = pages(s, s->rss);
        p = pmt_put_varint(p, pmt_zigzag(change));
        s->rss_said = s->rss;
    }
    if (s->source->segment != NULL) {
        pmt_site_total *total = pmt_sites_total(s->source->sites, site);
        s->counted += total->events == 0;
        total->events++;
        total->pages += change;
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
            if (s->definitions.n + (word >> 32) + 1 + TOTAL_BYTES > DEFINITIONS_BYTES) {
                s->events.n = (size_t)(p - start);
                flush(s, from, now);
                p = start;
            }
            if (s->source->segment != NULL) {
                before_definition(s, words, mask, from + 1, (uint32_t)(word >> 32));
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
    if (s->error == 0 && put_text_block(s, PMT_BLOCK_TEXT, text, n) == 0) {
        next_segment(s);
    }
    return s->error;
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
    c->definitions = s->segment == 0 ? 0 : s->source->segment->size;
    c->segment = s->segment;
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
    if (s->source->segment != NULL) {
        resume_segments(s, c);
    }
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
