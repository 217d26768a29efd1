/* DESIGN: the items of a block become the words that would have gone through the ring, and the text sink prints those:
 * so there is one way only in which a row can look. The header is that of the capture with two lines exchanged. */
#include "core/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/record.h"

#define WORDS (1u << 20)       /* 8 MiB: more than the words of any block that a recorder writes */
#define MARGIN PMT_RECORD_WORDS
#define HELD_SITE 1u           /* below PMT_SITE_FIRST: no site */
#define HELD_THREAD (PMT_MAX_THREADS - 1)

typedef struct stream {
    uint64_t *words, n, clock, rss;
    uint32_t slot;
} stream;

static void put_row(stream *s, const pmt_seen *e, bool previous)
{
    if (s->slot != e->slot) {
        s->words[s->n++] = pmt_word(PMT_ESC_THREAD, e->slot);
        s->slot = e->slot;
    }
    s->words[s->n++] = pmt_word(PMT_ESC_ROW, e->site);
    s->words[s->n++] = e->event;
    s->words[s->n++] = e->clock;
    s->words[s->n++] = (uint64_t)e->rss | (previous ? PMT_ROW_PREV : 0) | (e->site == HELD_SITE ? PMT_ROW_TIMED : 0);
}

static void put_event(stream *s, pmt_filter *f, pmt_log log, const pmt_seen *e)
{
    if (log != PMT_LOG_ALL) {
        if (pmt_filter_far(f, e->event, e->rss)) {
            const pmt_seen *before = log == PMT_LOG_PREVIOUS ? pmt_filter_before(f) : NULL;
            if (before != NULL) {
                put_row(s, before, true);
            }
            put_row(s, e, false);
            pmt_filter_logged(f, e->event, e->rss);
        }
        if (log == PMT_LOG_PREVIOUS) {
            pmt_filter_passed(f, e);
        }
        return;
    }
    if (s->slot != e->slot) {
        s->words[s->n++] = pmt_word(PMT_ESC_THREAD, e->slot);
        s->slot = e->slot;
    }
    if (s->rss != (uint64_t)e->rss) {
        s->words[s->n++] = pmt_word(PMT_ESC_RSS, 0);
        s->words[s->n++] = s->rss = (uint64_t)e->rss;
    }
    uint64_t dt = e->clock - s->clock;
    if (dt >> 32 != 0) {
        s->words[s->n++] = pmt_word(PMT_ESC_CLOCK, 0);
        s->words[s->n++] = e->clock;
        dt = 0;
    }
    s->words[s->n++] = pmt_word(e->site, (uint32_t)dt);
    s->clock = e->clock;
}

static void put_item(stream *s, pmt_item_kind kind, const pmt_item *item)
{
    uint64_t *w = s->words + s->n;
    uint32_t text = item->text_len < PMT_MAX_TEXT ? (uint32_t)item->text_len : PMT_MAX_TEXT;
    switch (kind) {
    case PMT_ITEM_PEAK:
        w[0] = pmt_word(PMT_ESC_PEAK, item->site);
        w[1] = (uint64_t)item->bytes;
        w[2] = item->number;
        s->n += 3;
        break;
    case PMT_ITEM_TRACER:
        w[0] = pmt_word(PMT_ESC_TRACER, 0);
        w[1] = (uint64_t)item->bytes;
        s->n += 2;
        break;
    case PMT_ITEM_NESTED:
        w[0] = pmt_word(PMT_ESC_NESTED, item->bytes != 0);
        s->n += 1;
        break;
    case PMT_ITEM_TEXT:
        w[(text + 7) / 8] = 0;
        w[0] = pmt_word(PMT_ESC_TEXT, text);
        memcpy(w + 1, item->text, text);
        s->n += 1 + (text + 7) / 8;
        break;
    default:
        break;
    }
}

static const char *find_line(const char *text, const char *end, const char *begin) /* NULL: there is none */
{
    size_t n = strlen(begin);
    for (const char *p = text; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        line_end = line_end == NULL ? end : line_end + 1;
        if ((size_t)(line_end - p) >= n && memcmp(p, begin, n) == 0) {
            return p;
        }
        p = line_end;
    }
    return NULL;
}

static const char *after_line(const char *p, const char *end)
{
    const char *line_end = memchr(p, '\n', (size_t)(end - p));
    return line_end == NULL ? end : line_end + 1;
}

/* Message, `# ` lines with the mode's own, column names. malloc'ed; NULL: no memory. */
static char *header_of(const pmt_reader *r, pmt_log log, uint64_t threshold, uint64_t dropped, bool comments, size_t *n)
{
    static const char *const names[] = {"none", "all", "threshold", "previous"};
    char *out = NULL;
    FILE *f = open_memstream(&out, n);
    if (f == NULL) {
        return NULL;
    }
    const char *end = r->text + r->text_len, *ours = r->text, *next;
    /* Ours are the last lines: a message before them may look alike. */
    for (const char *from = r->text; (next = find_line(from, end, "# pymemtrace: ")) != NULL; from = after_line(next, end)) {
        ours = next;
    }
    const char *columns = end;
    for (const char *p = ours; p != NULL && p < end; p = after_line(p, end)) {
        columns = p;
    }
    fwrite(r->text, 1, (size_t)(ours - r->text), f);
    for (const char *p = ours; comments && p < columns; p = after_line(p, end)) {
        const char *line_end = after_line(p, end);
        if (find_line(p, line_end, "# log: ") == p) {
            fprintf(f, "# log: %s\n", names[log]);
        }
        else if (find_line(p, line_end, "# threshold: ") == p) {
            fprintf(f, "# threshold: %llu\n", (unsigned long long)threshold);
        }
        else {
            fwrite(p, 1, (size_t)(line_end - p), f);
        }
    }
    if (comments && dropped > 0) {
        fprintf(f, "# dropped: %llu\n", (unsigned long long)dropped);
    }
    pmt_put_columns(f, log == PMT_LOG_PREVIOUS);
    return fclose(f) == 0 ? out : NULL;
}

static int convert_block(pmt_reader *r, pmt_sink *sink, stream *s, pmt_filter *f, pmt_log log)
{
    pmt_item item;
    int rc = 0;
    s->slot = UINT32_MAX; /* a number may be another thread's from here on */
    for (pmt_item_kind kind; rc == 0 && (kind = pmt_reader_item(r, &item)) != PMT_ITEM_NONE;) {
        if (kind == PMT_ITEM_EVENT) {
            const pmt_event *e = &r->event;
            put_event(s, f, log, &(pmt_seen){e->event, e->clock, e->rss, e->site, e->thread});
        }
        else {
            put_item(s, kind, &item);
        }
        if (s->n > WORDS - MARGIN) {
            uint64_t at = 0;
            rc = sink->records(sink, s->words, WORDS - 1, &at, s->n, WORDS, r->block.pair);
            s->n = 0;
        }
    }
    uint64_t at = 0;
    if (rc == 0) { /* also when nothing passed the filter: the block's pair counts */
        rc = sink->records(sink, s->words, WORDS - 1, &at, s->n, WORDS, r->block.pair);
    }
    s->n = 0;
    return rc;
}

static int put_end(const pmt_reader *r, pmt_sink *sink) /* with the number of rows that there are here */
{
    const char *end = r->end_text + r->end_len, *logged = find_line(r->end_text, end, "# logged: ");
    char line[48];
    if (logged == NULL) {
        return sink->end(sink, r->end_text, r->end_len);
    }
    int n = snprintf(line, sizeof line, "# logged: %llu\n", (unsigned long long)sink->rows);
    int rc = sink->end(sink, r->end_text, (size_t)(logged - r->end_text));
    rc = rc < 0 ? rc : sink->end(sink, line, (size_t)n);
    const char *after = after_line(logged, end);
    return rc < 0 ? rc : sink->end(sink, after, (size_t)(end - after));
}

/* The event kept for `previous` keeps its meaning, whatever the next block's definitions and pair make of its numbers: a
 * place that no site has, a thread that no recording gets to, and its time instead of its clock. t: with the block's pair. */
static void hold_last(pmt_dictionary *d, pmt_filter *f, pmt_timeline *t)
{
    if (!f->have_last || f->last.site == HELD_SITE) {
        return;
    }
    f->last.clock = (uint64_t)pmt_timeline_us(t, f->last.clock);
    pmt_site *held = pmt_sites_at(&d->sites, HELD_SITE), *last = pmt_sites_at(&d->sites, f->last.site);
    pmt_code *held_code = pmt_sites_code(&d->sites, 0), *code = pmt_sites_code(&d->sites, (uint32_t)(last->key >> 32));
    pmt_names *names = &d->sites.names;
    pmt_names_keep(names, last->name);
    pmt_names_keep(names, code->file);
    pmt_names_keep(names, code->name);
    pmt_names_drop(names, held->name);
    pmt_names_drop(names, held_code->file);
    pmt_names_drop(names, held_code->name);
    uint32_t generation = held->generation + 1;
    *held = *last;
    held->key = last->key & UINT32_MAX;
    held->generation = generation;
    *held_code = *code;
    f->last.site = HELD_SITE;
    const pmt_thread_name *thread = pmt_dictionary_thread(d, f->last.slot);
    if (thread != NULL && f->last.slot != HELD_THREAD) {
        pmt_thread_name **place = &d->threads[HELD_THREAD];
        *place = *place == NULL ? calloc(1, sizeof **place) : *place;
        if (*place != NULL) {
            **place = *thread;
            f->last.slot = HELD_THREAD;
        }
    }
}

int pmt_convert(pmt_reader *r, pmt_output *o, pmt_log log, uint64_t threshold, bool comments, uint64_t *rows)
{
    pmt_arena arena = {0};
    pmt_source source = {.sites = &r->dictionary.sites, .thread = pmt_dictionary_thread_of, .threads = &r->dictionary,
                         .output = o, .process_start_ns = r->process_start_ns, .first = r->first, .page = r->page};
    stream s = {.words = malloc(WORDS * 8), .clock = r->first.clock, .slot = UINT32_MAX};
    pmt_layout layout = log == PMT_LOG_PREVIOUS ? PMT_LAYOUT_PREVIOUS : PMT_LAYOUT_ALL;
    pmt_sink *sink = s.words == NULL ? NULL : pmt_text_sink_new(&arena, &source, layout, comments);
    pmt_filter filter;
    pmt_timeline timeline; /* as the sink's */
    size_t n = 0;
    char *header = NULL;
    int rc = sink == NULL ? -ENOMEM : pmt_reader_rewind(r), found = rc < 0 ? rc : pmt_reader_block(r);
    if (found >= 0) {
        header = header_of(r, log, threshold, r->dropped, comments, &n);
        rc = header == NULL ? -ENOMEM : sink->begin(sink, header, n);
    }
    pmt_filter_begin(&filter, threshold);
    pmt_timeline_init(&timeline, r->first, r->process_start_ns);
    if (found == 1 && r->dropped > 0) { /* rows keep their numbers */
        pmt_checkpoint c;
        sink->keep(sink, &c);
        c.event = r->dropped;
        sink->resume(sink, &c);
    }
    for (; rc == 0 && found == 1; found = rc == 0 ? pmt_reader_block(r) : found) {
        rc = convert_block(r, sink, &s, &filter, log);
        pmt_timeline_block(&timeline, r->block.pair);
        if (log == PMT_LOG_PREVIOUS) {
            hold_last(&r->dictionary, &filter, &timeline);
        }
        pmt_timeline_done(&timeline, r->block.pair);
    }
    rc = rc == 0 && found < 0 ? found : rc;
    if (rc == 0 && r->complete && comments) {
        rc = put_end(r, sink);
    }
    *rows = sink == NULL ? 0 : sink->rows;
    if (sink != NULL) {
        sink->close(sink);
    }
    free(header);
    free(s.words);
    return rc;
}
