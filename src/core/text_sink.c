/* DESIGN: a row is a memcpy of a cached middle (what, file, line, function: the same for every event of a site) between
 * numbers. The middles sit in a direct-mapped cache by site id, checked by the site's generation; a site that is not
 * there, or whose names are too long for a place, is written piece by piece. Bytes gather in one buffer of 128 KiB (it
 * stays in the L2 cache; 1 MiB was half as fast) and leave by write(2) when it is full and at the end of each call of
 * records(), so that what the ring has let go is in the file. `whole` is where the last whole line ends: there the file
 * is cut when a write fails. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/blocks.h"
#include "core/format.h"
#include "core/record.h"
#include "core/sink.h"

#define BUFFER_BYTES (1u << 17)
#define ROW_BYTES 1024    /* more than a row whose names are short enough for the cache */
#define MIDDLE_BYTES 246
#define MIDDLES 8192u     /* a power of two: 2 MiB */
#define DEFINITIONS_BYTES (1u << 18)
#define PIECE 64u         /* bytes of a name that are escaped at a time */

typedef struct middle {
    uint32_t site;
    uint32_t generation; /* the site's: ids are used again */
    uint16_t len;
    char bytes[MIDDLE_BYTES];
} middle;

_Static_assert(sizeof(middle) == 256, "a middle is four cache lines");
_Static_assert((MIDDLES & (MIDDLES - 1)) == 0, "the cache's mask needs a power of two");

typedef struct text_sink {
    pmt_sink base;
    pmt_arena *arena;
    const pmt_source *source;
    pmt_layout layout;
    bool comments;
    int error;                /* -errno of the first write that failed */
    pmt_timeline timeline;
    uint64_t event, clock;    /* of the next event in the stream of one-word records */
    uint64_t rss;
    int64_t rss_shown;        /* on the row before */
    char same[40];            /* the end of a row with that RSS and no change; RSS has at most 20 digits */
    uint32_t same_len;        /* 0: none yet */
    uint64_t next_shown;      /* event number of the last NEXT */
    uint32_t thread;          /* slot of the events that follow */
    uint32_t tid_shown;       /* of the row before; 0: no row yet */
    bool tid_known;
    int64_t whole;            /* size of the file at the end of its last whole line */
    size_t filled, last_line; /* bytes in the buffer; where its last whole line ends */
    middle *middles;
    char *buffer;
    pmt_block_out definitions; /* for recovery: in a file of their own, in the form of a capture */
} text_sink;

static void flush_definitions(text_sink *s)
{
    if (s->definitions.n > 0 && s->error == 0) {
        s->error = pmt_block_out_write(&s->definitions, s->source->definitions);
    }
}

static void put_definition(text_sink *s, const uint64_t *words, uint64_t mask, uint64_t at, uint32_t n)
{
    if (s->source->definitions != NULL) {
        if (s->definitions.n + n > DEFINITIONS_BYTES) {
            flush_definitions(s);
        }
        pmt_block_out_define(&s->definitions, words, mask, at, n);
    }
}

static void flush(text_sink *s)
{
    if (s->error == 0 && s->filled > 0) {
        int64_t before = s->source->output->size;
        s->error = pmt_output_write(s->source->output, s->buffer, s->filled);
        if (s->error == 0) {
            s->whole = s->last_line > 0 ? before + (int64_t)s->last_line : s->whole;
        }
        else { /* keep the whole lines that did get out */
            int64_t out = s->source->output->size - before;
            while (out > 0 && s->buffer[out - 1] != '\n') {
                out--;
            }
            s->whole = out > 0 ? before + out : s->whole;
            pmt_output_cut(s->source->output, s->whole);
        }
    }
    s->filled = 0;
    s->last_line = 0;
}

static char *room(text_sink *s, size_t n) /* n is at most BUFFER_BYTES */
{
    if (s->filled + n > BUFFER_BYTES) {
        flush(s);
    }
    return s->buffer + s->filled;
}

static void put(text_sink *s, const char *bytes, size_t n)
{
    while (n > 0) {
        size_t part = n < BUFFER_BYTES / 2 ? n : BUFFER_BYTES / 2;
        memcpy(room(s, part), bytes, part);
        s->filled += part;
        bytes += part;
        n -= part;
    }
}

static void end_line(text_sink *s)
{
    *room(s, 1) = '\n';
    s->filled++;
    s->last_line = s->filled;
}

static size_t put_escaped(text_sink *s, const char *bytes, size_t n, bool spaces)
{
    size_t total = 0;
    while (n > 0) {
        size_t used, part = n < PIECE ? n : PIECE;
        size_t len = pmt_escape(room(s, part * PMT_ESCAPE_GROWTH), bytes, part, spaces, &used);
        s->filled += len;
        total += len;
        bytes += used;
        n -= used;
    }
    return total;
}

static void put_spaces(text_sink *s, size_t n)
{
    memset(room(s, n), ' ', n);
    s->filled += n;
}

static size_t put_name(text_sink *s, uint32_t id, bool function)
{
    const pmt_name *name = pmt_names_at(&s->source->sites->names, id);
    if (name == NULL || (function && name->len == 0)) {
        put(s, "<?>", 3);
        return 3;
    }
    return put_escaped(s, name->bytes, name->len, function);
}

static uint32_t function_of(const text_sink *s, const pmt_site *site)
{
    pmt_kind kind = pmt_site_kind(site);
    bool c = kind == PMT_C_CALL || kind == PMT_C_RETURN || kind == PMT_C_EXCEPT;
    return c ? site->name : pmt_sites_code(s->source->sites, (uint32_t)(site->key >> 32))->name;
}

/* "%-8s %-120s#%4d %-32s " (the file is 80 wide in the other layout), into the buffer; its length. */
static size_t put_middle(text_sink *s, const pmt_site *site)
{
    const char *what = pmt_kind_names[pmt_site_kind(site)];
    size_t width = s->layout == PMT_LAYOUT_ALL ? 120 : 80, n = strlen(what), total = 0;
    put(s, what, n);
    put_spaces(s, 9 - n);
    n = put_name(s, pmt_sites_code(s->source->sites, (uint32_t)(site->key >> 32))->file, false);
    put_spaces(s, n < width ? width - n : 0);
    total = 9 + (n < width ? width : n);
    char *p = room(s, PMT_NUMBER_ROOM), *start = p;
    *p++ = '#';
    p = pmt_put_right(p, site->line, 4);
    *p++ = ' ';
    s->filled += (size_t)(p - start);
    total += (size_t)(p - start);
    n = put_name(s, function_of(s, site), true);
    put_spaces(s, (n < 32 ? 32 - n : 0) + 1);
    return total + (n < 32 ? 32 : n) + 1;
}

static void put_cached_middle(text_sink *s, uint32_t id)
{
    const pmt_site *site = pmt_sites_at(s->source->sites, id);
    middle *m = &s->middles[id & (MIDDLES - 1)];
    if (m->site == id && m->generation == site->generation) {
        memcpy(s->buffer + s->filled, m->bytes, MIDDLE_BYTES); /* a constant size is faster; there is room for it */
        s->filled += m->len;
        return;
    }
    size_t before = s->filled, n = put_middle(s, site);
    if (n <= MIDDLE_BYTES && s->filled == before + n) { /* in one piece: put_row made room for it */
        *m = (middle){.site = id, .generation = site->generation, .len = (uint16_t)n};
        memcpy(m->bytes, s->buffer + s->filled - n, n);
    }
}

static void put_thread(text_sink *s)
{
    const pmt_thread_name *t = s->source->thread(s->source->threads, s->thread);
    uint32_t tid = t == NULL ? 0 : t->tid;
    s->tid_known = true;
    if (s->tid_shown == tid && tid != 0) {
        return;
    }
    s->tid_shown = tid;
    if (!s->comments) {
        return;
    }
    put(s, "# thread ", 9);
    char *p = room(s, PMT_NUMBER_ROOM), *start = p;
    p = pmt_put_u64(p, tid);
    *p++ = ' ';
    s->filled += (size_t)(p - start);
    if (t == NULL || t->len == 0) {
        put(s, "-", 1);
    }
    else {
        put_escaped(s, t->bytes, t->len, false);
    }
    end_line(s);
}

typedef struct row {
    uint32_t site;
    bool previous, timed; /* timed: clock is in microseconds already */
    uint64_t event, clock;
    int64_t rss;
} row;

static void put_row(text_sink *s, const row *r)
{
    if (!s->tid_known) {
        put_thread(s);
    }
    char *p = room(s, ROW_BYTES), *start = p;
    if (s->layout == PMT_LAYOUT_PREVIOUS) {
        uint64_t since = s->base.rows == 0 ? 0 : r->event - s->next_shown;
        memcpy(p, r->previous ? "PREV: " : "NEXT: ", 6);
        p = pmt_put_left(p + 6, r->event, 12);
        *p++ = ' ';
        *p++ = '+';
        p = pmt_put_left(p, since, 6);
        s->next_shown = r->previous ? s->next_shown : r->event;
    }
    else {
        p = pmt_put_left(p, r->event, 12);
    }
    *p++ = ' ';
    int64_t us = r->timed ? pmt_timeline_rise(&s->timeline, (int64_t)r->clock) : pmt_timeline_us(&s->timeline, r->clock);
    p = pmt_put_seconds(p, us, 12);
    *p++ = ' ';
    s->filled += (size_t)(p - start);
    put_cached_middle(s, r->site);
    start = p = room(s, 2 * PMT_NUMBER_ROOM);
    if (r->rss == s->rss_shown && s->same_len != 0) { /* nine rows in ten: the end of the row before, with a 0 */
        memcpy(p, s->same, sizeof s->same);
        p += s->same_len;
    }
    else {
        p = pmt_put_right(p, r->rss, 12);
        *p++ = ' ';
        s->same_len = (uint32_t)(p - start) + 13;
        memcpy(s->same, start, (size_t)(p - start));
        memcpy(s->same + (p - start), "           0\n", 13);
        p = pmt_put_right(p, r->rss - s->rss_shown, 12);
        *p++ = '\n';
    }
    s->filled += (size_t)(p - start);
    s->last_line = s->filled;
    s->rss_shown = r->rss;
    s->base.rows++;
}

static void put_number(text_sink *s, const char *before, int64_t value, bool sign)
{
    put(s, before, strlen(before));
    char *p = room(s, PMT_NUMBER_ROOM), *start = p;
    if (sign && value >= 0) {
        *p++ = '+';
    }
    p = pmt_put_right(p, value, 0);
    s->filled += (size_t)(p - start);
}

static void put_peak(text_sink *s, uint32_t id, int64_t bytes, int64_t event)
{
    if (!s->comments) {
        return;
    }
    put_number(s, "# peak ", bytes, false);
    put_number(s, " between events ", event - 1, false);
    put_number(s, " and ", event, false);
    put(s, " in ", 4);
    if (id < PMT_SITE_FIRST) {
        put(s, "<?>#0 <?>", 9);
    }
    else {
        const pmt_site *site = pmt_sites_at(s->source->sites, id);
        put_name(s, pmt_sites_code(s->source->sites, (uint32_t)(site->key >> 32))->file, false);
        put_number(s, "#", site->line, false);
        put(s, " ", 1);
        put_name(s, function_of(s, site), true);
    }
    end_line(s);
}

static void put_text(text_sink *s, const uint64_t *words, uint64_t mask, uint64_t at, uint32_t n)
{
    if (!s->comments) {
        return;
    }
    char bytes[PMT_MAX_TEXT + 8];
    put(s, "# ", 2);
    bool like_end = n >= 3 && memcmp(&words[at & mask], "end", 3) == 0;
    put(s, " ", like_end); /* `# end` is said by the recorder alone */
    for (uint32_t done = 0; done < n; done += 8, at++) {
        memcpy(bytes + done, &words[at & mask], 8);
    }
    put_escaped(s, bytes, n, false);
    end_line(s);
}

static void put_escape(text_sink *s, const uint64_t *words, uint64_t mask, uint64_t at)
{
    uint64_t word = words[at & mask], first = words[(at + 1) & mask];
    uint32_t payload = (uint32_t)(word >> 32);
    switch ((uint32_t)word) {
    case PMT_ESC_RSS:
        s->rss = first;
        break;
    case PMT_ESC_CLOCK:
        s->clock = first;
        break;
    case PMT_ESC_THREAD:
        s->thread = payload;
        s->tid_known = false;
        break;
    case PMT_ESC_ROW: {
        uint64_t clock = words[(at + 2) & mask], rss = words[(at + 3) & mask];
        put_row(s, &(row){payload, (rss & PMT_ROW_PREV) != 0, (rss & PMT_ROW_TIMED) != 0, first, clock,
                          (int64_t)(rss & ~(PMT_ROW_PREV | PMT_ROW_TIMED))});
        break;
    }
    case PMT_ESC_PEAK:
        put_peak(s, payload, (int64_t)first, (int64_t)words[(at + 2) & mask]);
        break;
    case PMT_ESC_TRACER:
        if (s->comments) {
            put_number(s, "# tracer ", (int64_t)first, true);
            end_line(s);
        }
        break;
    case PMT_ESC_NESTED:
        if (s->comments) {
            put(s, payload ? "# suspended" : "# resumed", payload ? 11 : 9);
            end_line(s);
        }
        break;
    case PMT_ESC_TEXT:
        put_text(s, words, mask, at + 1, payload);
        break;
    case PMT_ESC_DEFINE:
        put_definition(s, words, mask, at + 1, payload);
        break;
    default:
        break;
    }
}

static int text_records(pmt_sink *base, const uint64_t *words, uint64_t mask, uint64_t *at, uint64_t to, uint64_t most,
                        pmt_pair now)
{
    text_sink *s = (text_sink *)base;
    uint64_t from = *at, enough = from + most;
    pmt_timeline_block(&s->timeline, now);
    while (from < to && from < enough && s->error == 0) {
        uint64_t word = words[from & mask];
        if ((uint32_t)word >= PMT_SITE_FIRST) {
            s->clock += word >> 32;
            put_row(s, &(row){(uint32_t)word, false, false, s->event++, s->clock, (int64_t)s->rss});
            from++;
        }
        else {
            uint32_t n = pmt_record_words(word);
            if (n == 0) {
                s->error = -EIO;
                break;
            }
            put_escape(s, words, mask, from);
            from += n;
        }
    }
    flush(s);
    flush_definitions(s);
    pmt_timeline_done(&s->timeline, now);
    *at = from;
    return s->error;
}

static int text_end(pmt_sink *base, const char *text, size_t n)
{
    text_sink *s = (text_sink *)base;
    put(s, text, n);
    s->last_line = s->filled;
    flush(s);
    return s->error;
}

static int text_begin(pmt_sink *base, const char *text, size_t n)
{
    text_sink *s = (text_sink *)base;
    pmt_output *definitions = s->source->definitions;
    if (definitions != NULL) {
        s->error = pmt_capture_begin(definitions, s->source->page);
        s->definitions.type = PMT_BLOCK_TEXT; /* no text: only for the form */
        s->error = s->error < 0 ? s->error : pmt_block_out_write(&s->definitions, definitions);
        s->definitions.type = PMT_BLOCK_DEFINITIONS;
    }
    return s->error < 0 ? s->error : text_end(base, text, n);
}

static int text_note(pmt_sink *base, const char *line, size_t n)
{
    return ((text_sink *)base)->comments ? text_end(base, line, n) : 0;
}

static int text_reopen(pmt_sink *base, int64_t size)
{
    text_sink *s = (text_sink *)base;
    s->whole = size;
    return pmt_output_cut(s->source->output, size);
}

static void text_keep(const pmt_sink *base, pmt_checkpoint *c)
{
    const text_sink *s = (const text_sink *)base;
    c->output = s->source->output->size;
    c->definitions = s->source->definitions == NULL ? 0 : s->source->definitions->size;
    c->event = s->event;
    c->clock = s->clock;
    c->rss = s->rss;
    c->rss_shown = s->rss_shown;
    c->next_shown = s->next_shown;
    c->rows = s->base.rows;
    c->thread = s->thread;
    c->tid_shown = s->tid_shown;
    c->tid_known = s->tid_known;
    c->timeline = s->timeline;
}

static void text_resume(pmt_sink *base, const pmt_checkpoint *c)
{
    text_sink *s = (text_sink *)base;
    s->event = c->event;
    s->clock = c->clock;
    s->rss = c->rss;
    s->rss_shown = c->rss_shown;
    s->next_shown = c->next_shown;
    s->base.rows = c->rows;
    s->thread = c->thread;
    s->tid_shown = c->tid_shown;
    s->tid_known = c->tid_known != 0;
    s->timeline = c->timeline;
    s->whole = c->output;
}

static void text_close(pmt_sink *base)
{
    text_sink *s = (text_sink *)base;
    pmt_arena *arena = s->arena;
    pmt_block_out_free(&s->definitions, arena);
    pmt_arena_unmap(arena, s->middles, MIDDLES * sizeof *s->middles);
    pmt_arena_unmap(arena, s->buffer, BUFFER_BYTES);
    pmt_arena_unmap(arena, s, sizeof *s);
}

pmt_sink *pmt_text_sink_new(pmt_arena *a, const pmt_source *source, pmt_layout layout, bool comments)
{
    text_sink *s = pmt_arena_map(a, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->base = (pmt_sink){text_begin, text_records, text_end,   text_note, text_reopen,
                         text_keep,  text_resume,  text_close, 0};
    s->arena = a;
    s->source = source;
    s->layout = layout;
    s->comments = comments;
    s->middles = pmt_arena_map(a, MIDDLES * sizeof *s->middles);
    s->buffer = pmt_arena_map(a, BUFFER_BYTES);
    s->clock = source->first.clock;
    pmt_timeline_init(&s->timeline, source->first, source->process_start_ns);
    if (s->middles == NULL || s->buffer == NULL ||
        (source->definitions != NULL &&
         pmt_block_out_init(&s->definitions, a, PMT_BLOCK_DEFINITIONS, DEFINITIONS_BYTES) < 0)) {
        int saved = errno;
        text_close(&s->base);
        errno = saved;
        return NULL;
    }
    return &s->base;
}
