/* One stream of records goes into a capture and into text logs of every mode; the capture, printed, is those logs byte for
 * byte. Which events are rows is worked out here once more, from docs/log-format.md. */
#include "core/format.h"
#include "core/convert.h"
#include "core/define.h"
#include "world.h"

#define CHUNK 3000u /* words that go to the sinks at a time */
#define PAGE 4096
#define HEADER(mode, threshold) \
    "a message\n# log: of the message, and not ours\n# pymemtrace: 1\n# log: " mode "\n# threshold: " threshold "\n"

typedef struct stream {
    uint64_t *words, n, room;
} stream;

static void push(stream *s, uint64_t word)
{
    if (s->n == s->room) {
        s->room = s->room * 2 + 1024;
        s->words = realloc(s->words, s->room * sizeof *s->words);
    }
    s->words[s->n++] = word;
}

static void push_bytes(stream *s, uint32_t escape, const void *bytes, uint32_t n)
{
    push(s, pmt_word(escape, n));
    for (uint32_t done = 0; done < n; done += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + done, n - done < 8 ? n - done : 8);
        push(s, word);
    }
}

static uint64_t seed;
static uint32_t threads_met;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* ---- which events are rows, by the document ---- */

typedef struct reference {
    pmt_log log;
    uint64_t threshold;
    stream out;
    uint32_t slot;
    bool any, have_before, before_was_next;
    int64_t rss_logged;
    pmt_seen before;
} reference;

static void put_row(reference *f, const pmt_seen *e, uint64_t mark)
{
    if (f->slot != e->slot) {
        push(&f->out, pmt_word(PMT_ESC_THREAD, e->slot));
        f->slot = e->slot;
    }
    push(&f->out, pmt_word(PMT_ESC_ROW, e->site));
    push(&f->out, e->event);
    push(&f->out, e->clock);
    push(&f->out, (uint64_t)e->rss | mark);
}

static void see(reference *f, const pmt_seen *e)
{
    int64_t change = e->rss - f->rss_logged;
    bool next = !f->any || (uint64_t)(change < 0 ? -change : change) >= f->threshold;
    if (next) {
        if (f->log == PMT_LOG_PREVIOUS && f->have_before && !f->before_was_next) {
            put_row(f, &f->before, PMT_ROW_PREV);
        }
        put_row(f, e, 0);
        f->rss_logged = e->rss;
        f->any = true;
    }
    f->before = *e;
    f->have_before = true;
    f->before_was_next = next;
}

/* ---- the program ---- */

enum { SITES = 300, MODES = 4 };

static const struct mode {
    pmt_log log;
    uint64_t threshold;
    const char *header, *path;
} modes[MODES] = {
    {PMT_LOG_ALL, PAGE, HEADER("all", "4096"), "all.log"},
    {PMT_LOG_THRESHOLD, PAGE, HEADER("threshold", "4096"), "threshold.log"},
    {PMT_LOG_THRESHOLD, 100 * PAGE, HEADER("threshold", "409600"), "threshold100.log"},
    {PMT_LOG_PREVIOUS, 3 * PAGE, HEADER("previous", "12288"), "previous.log"},
};

typedef struct both {
    world w;
    stream all;
    reference seen[MODES]; /* of the modes that filter */
    pmt_output outputs[MODES], capture;
    pmt_source sources[MODES], source;
    pmt_sink *sinks[MODES], *sink;
    uint32_t sites[SITES], count;
    uint64_t clock, event, fed;
    int64_t rss, rss_sent;
    uint32_t slot, slot_sent, tids;
    pmt_thread_name names[4];
    uint8_t scratch[PMT_MAX_DEFINE];
} both;

/* Into every stream. */
static void push_to_all(both *t, const uint64_t *words, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        push(&t->all, words[i]);
        for (int m = 1; m < MODES; m++) {
            push(&t->seen[m].out, words[i]);
        }
    }
}

static void define(both *t, size_t n)
{
    push_bytes(&t->all, PMT_ESC_DEFINE, t->scratch, (uint32_t)n);
}

/* A thread ended; when the sinks are done with its events another one gets its number, and may be the next to run. */
static void new_thread(both *t)
{
    uint32_t slot = draw(4);
    if (t->seen[MODES - 1].have_before && t->seen[MODES - 1].before.slot == slot) {
        return; /* that event may still become a row */
    }
    t->slot = slot;
    t->names[t->slot].tid = 1000 + t->tids++;
    t->names[t->slot].len = draw(3) ? world_threads[t->slot].len : 0;
    define(t, pmt_define_thread(t->scratch, t->slot, &t->names[t->slot]));
    t->slot_sent = UINT32_MAX;
    for (int m = 1; m < MODES; m++) {
        t->seen[m].slot = UINT32_MAX;
    }
}

static void new_site(both *t)
{
    static const char *const names[] = {"plain", "with space", "#", "\xED\xB2\x80", "", "line\nfeed", "\xFF\xFE", "tab\t"};
    char file[64], name[64];
    pmt_kind kind = (pmt_kind)draw(5);
    snprintf(file, sizeof file, "/a b/%s/%u.py", names[draw(8)], t->count);
    snprintf(name, sizeof name, "%s%u", names[draw(8)], draw(3));
    uint32_t code = world_code(&t->w, file, name, t->count + 1);
    define(t, pmt_define_code(t->scratch, &t->w.sites, code));
    bool c = kind >= PMT_C_CALL;
    t->sites[t->count] = world_site(&t->w, code, (int)t->count, kind, c ? names[draw(8)] : NULL, (int)draw(1000) - 1);
    define(t, pmt_define_site(t->scratch, &t->w.sites, t->sites[t->count]));
    t->count++;
}

static void something_else(both *t)
{
    static const char message[] = "a message of the program \xE2\x82\xAC";
    stream text = {0};
    switch (draw(5)) {
    case 0:
        push_to_all(t, (uint64_t[]){pmt_word(PMT_ESC_PEAK, draw(4) ? t->sites[draw(t->count)] : 0),
                                    (uint64_t)t->rss + 1000000, t->event}, 3);
        break;
    case 1:
        push_to_all(t, (uint64_t[]){pmt_word(PMT_ESC_TRACER, 0), (uint64_t)(int64_t)((int)draw(9) - 4) * PAGE}, 2);
        break;
    case 2:
        push_to_all(t, (uint64_t[]){pmt_word(PMT_ESC_NESTED, 1)}, 1);
        t->rss += (int64_t)draw(50) * PAGE;
        push(&t->all, pmt_word(PMT_ESC_RSS, 0));
        push(&t->all, (uint64_t)t->rss);
        t->rss_sent = t->rss;
        push_to_all(t, (uint64_t[]){pmt_word(PMT_ESC_NESTED, 0)}, 1);
        break;
    default:
        push_bytes(&text, PMT_ESC_TEXT, message, draw(sizeof message));
        push_to_all(t, text.words, (uint32_t)text.n);
        free(text.words);
    }
}

static void event(both *t)
{
    static const uint32_t times[] = {0, 1, 5, 61, 62, 63, 300, 317, 318, 319, 40000, UINT32_MAX};
    uint64_t passed = draw(3) ? draw(20) : times[draw(draw(20) ? 9 : 12)];
    if (draw(200) == 0 && t->count < SITES) {
        new_site(t);
    }
    if (draw(100) == 0) {
        t->slot = draw(4);
    }
    if (draw(60) == 0) {
        t->rss += (int64_t)((int)draw(draw(3) ? 5 : 400) - (draw(2) ? 0 : 100)) * PAGE;
        t->rss = t->rss < PAGE ? PAGE : t->rss;
    }
    if (draw(300) == 0) {
        something_else(t);
    }
    if (t->event == 0 || t->slot_sent != t->slot) {
        push(&t->all, pmt_word(PMT_ESC_THREAD, t->slot));
        t->slot_sent = t->slot;
    }
    if (t->rss != t->rss_sent) {
        push(&t->all, pmt_word(PMT_ESC_RSS, 0));
        push(&t->all, (uint64_t)t->rss);
        t->rss_sent = t->rss;
    }
    t->clock += passed;
    if (draw(2000) == 0) { /* longer than a word has room for */
        t->clock += UINT64_C(1) << 33;
        push(&t->all, pmt_word(PMT_ESC_CLOCK, 0));
        push(&t->all, t->clock);
        passed = 0;
    }
    uint32_t site = t->sites[draw(10) ? t->event % t->count : draw(t->count)];
    push(&t->all, pmt_word(site, (uint32_t)passed));
    for (int m = 1; m < MODES; m++) {
        see(&t->seen[m], &(pmt_seen){t->event, t->clock, t->rss, site, t->slot});
    }
    t->event++;
}

/* What there is goes to the sinks, all with one pair. */
static void drain(both *t)
{
    pmt_pair now = {t->clock, (int64_t)(t->clock * 64)};
    uint64_t at = t->fed;
    CHECK_INT(t->sink->records(t->sink, t->all.words, UINT64_MAX, &at, t->all.n, t->all.n, now), 0);
    for (int m = 0; m < MODES; m++) {
        stream *s = m == 0 ? &t->all : &t->seen[m].out;
        at = m == 0 ? t->fed : 0;
        CHECK_INT(t->sinks[m]->records(t->sinks[m], s->words, UINT64_MAX, &at, s->n, s->n, now), 0);
        s->n = m == 0 ? s->n : 0;
    }
    t->fed = t->all.n; /* the capture counts words */
}

static char *header_of(const struct mode *m, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    fputs(m->header, f);
    pmt_put_columns(f, m->log == PMT_LOG_PREVIOUS);
    fclose(f);
    return text;
}

static const char END[] = "# seconds: 1.0\n# logged: 17\n# waits: 0\n# end\n";

static const pmt_thread_name *name_of(void *of, uint32_t slot)
{
    return &((const both *)of)->names[slot];
}

static void begin(both *t)
{
    memset(t, 0, sizeof *t);
    memcpy(t->names, world_threads, sizeof t->names);
    world_make(&t->w, NULL, 0, PMT_LAYOUT_ALL, true, 1 << 15);
    pmt_pair first = {0, 0};
    t->source = (pmt_source){.sites = &t->w.sites, .thread = name_of, .threads = t, .output = &t->capture, .first = first,
                           .page = PAGE};
    unlink("tee.pmt");
    CHECK_INT(pmt_output_init(&t->capture, "tee.pmt", PMT_OPEN_OVERWRITE), 0);
    CHECK_INT(pmt_output_open(&t->capture, false), 0);
    t->sink = pmt_binary_sink_new(&t->w.arena, &t->source);
    size_t n;
    char *header = header_of(&modes[0], &n);
    CHECK_INT(t->sink->begin(t->sink, header, n), 0);
    free(header);
    for (int m = 0; m < MODES; m++) {
        t->seen[m] = (reference){.log = modes[m].log, .threshold = modes[m].threshold, .slot = UINT32_MAX};
        t->sources[m] = t->source;
        t->sources[m].output = &t->outputs[m];
        CHECK_INT(pmt_output_init(&t->outputs[m], modes[m].path, PMT_OPEN_OVERWRITE), 0);
        CHECK_INT(pmt_output_open(&t->outputs[m], false), 0);
        pmt_layout layout = modes[m].log == PMT_LOG_PREVIOUS ? PMT_LAYOUT_PREVIOUS : PMT_LAYOUT_ALL;
        t->sinks[m] = pmt_text_sink_new(&t->w.arena, &t->sources[m], layout, true);
        header = header_of(&modes[m], &n);
        CHECK_INT(t->sinks[m]->begin(t->sinks[m], header, n), 0);
        free(header);
    }
    t->rss = 1000 * PAGE;
    for (uint32_t slot = 0; slot < 4; slot++) {
        define(t, pmt_define_thread(t->scratch, slot, &t->names[slot]));
    }
    define(t, pmt_define_code(t->scratch, &t->w.sites, t->w.code)); /* numbers have no gaps */
    for (int i = 0; i < 20; i++) {
        new_site(t);
    }
}

static void end(both *t)
{
    drain(t);
    CHECK_INT(t->sink->end(t->sink, END, sizeof END - 1), 0);
    t->sink->close(t->sink);
    pmt_output_close(&t->capture);
    pmt_output_free(&t->capture);
    for (int m = 0; m < MODES; m++) {
        char text[200];
        int n = snprintf(text, sizeof text, "# seconds: 1.0\n# logged: %llu\n# waits: 0\n# end\n",
                         (unsigned long long)t->sinks[m]->rows);
        CHECK_INT(t->sinks[m]->end(t->sinks[m], text, (size_t)n), 0);
        t->sinks[m]->close(t->sinks[m]);
        pmt_output_close(&t->outputs[m]);
        pmt_output_free(&t->outputs[m]);
        free(t->seen[m].out.words);
    }
    free(t->all.words);
    world_free(&t->w);
}

/* The capture printed in that mode is that log. Its rows. */
static uint64_t compare(const struct mode *m)
{
    pmt_reader r;
    uint64_t rows = 0;
    pmt_output o;
    unlink("printed.log");
    CHECK_INT(pmt_output_init(&o, "printed.log", 0), 0);
    CHECK_INT(pmt_output_open(&o, false), 0);
    CHECK_INT(pmt_reader_open(&r, "tee.pmt"), 0);
    CHECK_INT(pmt_convert(&r, &o, m->log, m->threshold, true, &rows), 0);
    CHECK_BYTES(r.why, strlen(r.why), "", 0);
    CHECK(r.complete);
    pmt_reader_close(&r);
    pmt_output_close(&o);
    pmt_output_free(&o);
    text want = text_of_file(m->path);
    CHECK_FILE("printed.log", &want);
    return rows;
}

static void equal(uint64_t begin_with, uint32_t events)
{
    static both t;
    seed = begin_with;
    begin(&t);
    for (uint32_t i = 0; i < events; i++) {
        event(&t);
        if (t.all.n - t.fed >= CHUNK) {
            drain(&t);
            if (draw(3) == 0) {
                new_thread(&t);
            }
        }
    }
    threads_met += t.tids;
    end(&t);
    uint64_t rows[MODES];
    for (int m = 0; m < MODES; m++) {
        rows[m] = compare(&modes[m]);
    }
    CHECK_INT(rows[0], events);
    CHECK(events < 1000 || (rows[1] > rows[2] && rows[2] > 1 && rows[3] > rows[2] && rows[1] < events / 4));
}

int main(void)
{
    equal(1, 0);
    equal(2, 1);
    for (uint64_t i = 3; i < 20; i++) {
        equal(i, 20000);
    }
    CHECK(threads_met > 20);
    return check_done();
}
