/* A whole recording without Python: what is sent when, peaks, long messages, parking, failing, nesting. */
#include "core/recorder.h"
#include "world.h"

#include <sys/mman.h>

#define FILE_NAME "out.log"
#define ENDING "# end\n"

static pmt_recorder *made(pmt_log log, bool file, const char *clock)
{
    pmt_recorder *r;
    pmt_options o = {.log = log, .compute = PMT_COMPUTE_ALL, .threshold = 4096, .comments = true, .has_file = file,
                     .clock = clock, .unshare = true, .path = FILE_NAME};
    unlink(FILE_NAME);
    const char *path;
    CHECK_INT(pmt_recorder_new(&r, &o, world_thread, NULL), 0);
    CHECK_INT(pmt_recorder_create(r, &path), 0);
    CHECK_INT(pmt_recorder_open(r, HEAD, strlen(HEAD)), 0);
    pmt_recorder_begin(r, 1);
    return r;
}

static void ended(pmt_recorder *r)
{
    pmt_recorder_end(r);
    pmt_recorder_close(r, ENDING, strlen(ENDING));
    pmt_recorder_free(r);
}

static char *taken(size_t bytes) /* resident */
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static uint32_t a_site(pmt_recorder *r)
{
    uint32_t code = pmt_sites_new_code(&r->sites);
    pmt_sites_code(&r->sites, code)->file = pmt_names_add(&r->sites.names, "f.py", 4);
    pmt_sites_code(&r->sites, code)->name = pmt_names_add(&r->sites.names, "f", 1);
    return pmt_sites_add(&r->sites, pmt_site_key(code, 0, PMT_CALL), 0, PMT_NAME_NONE, 3);
}

static size_t lines_with(const text *t, const char *prefix)
{
    size_t n = 0, len = strlen(prefix);
    for (const char *p = t->bytes; p != NULL && p < t->bytes + t->n; p++) {
        if ((p == t->bytes || p[-1] == '\n') && strncmp(p, prefix, len) == 0) {
            n++;
        }
    }
    return n;
}

static void sends(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:0");
    uint32_t site = a_site(r);
    text want = {0};
    uint64_t base = r->first_pair.clock, ticks = base << PMT_CLOCK_SHIFT;
    atomic_store(&r->clock.fake_now, UINT64_C(1) << 42);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    r->source.process_start_ns = 0;
    r->rss_now = 8192;
    pmt_recorder_send(r, site, 0, ticks);
    pmt_recorder_send(r, site, 0, ticks + 64);
    pmt_recorder_send(r, site, 0, ticks);             /* backwards: not within the stream */
    r->rss_now = 4096;
    pmt_recorder_send(r, site, 0, ticks + (UINT64_C(1) << 39)); /* beyond 32 bits of clock */
    pmt_recorder_send(r, site, 1, ticks + (UINT64_C(1) << 39) + 128);
    CHECK_INT(r->rows, 5);
    CHECK_INT(r->rss_sent, 4096);
    CHECK_INT(atomic_load(&r->ring.s->head), 1 + 2 + 1 + 1 + 1 + (2 + 2 + 1) + 2);
    ended(r);
    text got = text_of_file(FILE_NAME);
    CHECK_INT(lines_with(&got, "0    "), 1);
    CHECK_INT(lines_with(&got, "4    "), 1);
    CHECK_INT(lines_with(&got, "# thread 100 MainThread"), 1);
    CHECK_INT(lines_with(&got, "# thread 101 -"), 1);
    CHECK(got.n > 6 && memcmp(got.bytes + got.n - 6, ENDING, 6) == 0);
    text_free(&got);
    text_free(&want);
}

/* Rows and one-word records go round the ring many times; none is lost. */
static void many(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, NULL);
    uint32_t site = a_site(r);
    for (uint64_t i = 0; i < 200000; i++) {
        r->rss_now = (int64_t)(i / 3 * 4096);
        pmt_recorder_send(r, site, (uint32_t)(i / 1000 % 2), pmt_clock_ticks(&r->clock));
    }
    CHECK_INT(r->rows, 200000);
    ended(r);
    text got = text_of_file(FILE_NAME);
    size_t lines = 0, event = 0, bad = 0;
    double clock = 0;
    for (char *p = got.bytes; p != NULL && p < got.bytes + got.n; p = strchr(p, '\n') + 1) {
        lines++;
        if (*p >= '0' && *p <= '9') {
            char *end;
            bad += strtoull(p, &end, 10) != event++;
            double seconds = strtod(end, &end);
            bad += seconds < clock;
            clock = seconds;
        }
    }
    CHECK_INT(bad, 0);
    CHECK_INT(event, 200000);
    CHECK_INT(lines_with(&got, "# thread "), 200);
    text_free(&got);
}

static void messages(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:0");
    text want = {0};
    char *big = malloc(20001);
    memset(big, 'x', 20000);
    big[20000] = '\0';
    text_put(&want, HEAD);
    pmt_recorder_text(r, "", 0);
    text_put(&want, "# \n");
    pmt_recorder_text(r, "one", 3);
    text_put(&want, "# one\n");
    pmt_recorder_text(r, "two\n\nlines\n", 11);
    text_put(&want, "# two\n# \n# lines\n");
    for (size_t n = 4090; n <= 4100; n++) { /* the largest record and its neighbours */
        pmt_recorder_text(r, big, n);
        text_put(&want, "# %.*s\n", (int)(n < 4096 ? n : 4096), big);
        if (n > 4096) {
            text_put(&want, "# %.*s\n", (int)(n - 4096), big);
        }
    }
    pmt_recorder_text(r, big, 20000);
    for (int i = 0; i < 4; i++) {
        text_put(&want, "# %.*s\n", 4096, big);
    }
    text_put(&want, "# %.*s\n", 20000 - 4 * 4096, big);
    for (int i = 0; i < 400; i++) { /* more than the ring holds */
        pmt_recorder_text(r, big, 4096);
        text_put(&want, "# %.*s\n", 4096, big);
    }
    ended(r);
    text_put(&want, ENDING);
    CHECK_FILE(FILE_NAME, &want);

    r = made(PMT_LOG_ALL, true, "fake:0"); /* a long message is cut between characters: every line is UTF-8 */
    for (size_t i = 0; i < 20000; i += 2) {
        memcpy(big + i, "\xc3\xa9", 2);
    }
    pmt_recorder_text(r, big + 1, 0);
    big[0] = 'x';
    memmove(big + 1, big + 2, 19998);
    pmt_recorder_text(r, big, 9999);
    ended(r);
    text got = text_of_file(FILE_NAME);
    int broken = 0;
    for (size_t i = 1; i < got.n; i++) {
        unsigned char before = (unsigned char)got.bytes[i - 1], now = (unsigned char)got.bytes[i];
        broken += (before == 0xC3) != (now == 0xA9);
    }
    CHECK_INT(broken, 0);
    text_free(&got);

    r = made(PMT_LOG_NONE, false, "fake:0"); /* no file: no message */
    pmt_recorder_text(r, big, 100);
    CHECK_INT(atomic_load(&r->ring.s->head), 0);
    ended(r);
    free(big);
}

static void readings(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, NULL);
    pmt_change change;
    uint64_t last = 0, now = pmt_clock_ticks(&r->clock);
    r->events = 1;
    CHECK(pmt_recorder_read(r, now, &last, false, &change));
    CHECK_INT(change.program, 0); /* event 0: what was before is not the recording's */
    CHECK(last >= now && r->rss_first == r->rss_now && r->gate.readings == 1);
    CHECK_INT(r->gate.audit_tried, 0);
    size_t bytes = 8 << 20;
    char *p = taken(bytes);
    r->events = 2;
    CHECK(pmt_recorder_read(r, last + 1, &last, true, &change));
    CHECK(change.changed && change.program >= (int64_t)bytes / 2 && change.program < 2 * (int64_t)bytes);
    CHECK_INT(change.peak, 0);
    CHECK_INT(r->gate.audit_tried, 1);
    CHECK_INT(r->gate.audit_differed, 1);
    /* what the tracer maps is the tracer's: one event later the program has grown by (almost) nothing */
    void *ours = pmt_arena_map(&r->arena, 4 << 20);
    r->events = 3;
    CHECK(pmt_recorder_read(r, last + 1, &last, false, &change));
    CHECK(llabs((long long)change.program) < 1 << 20);
    CHECK(r->tracer_growth >= 4 << 20);
    pmt_recorder_mapped(r);
    pmt_recorder_mapped(r); /* said once */
    pmt_arena_unmap(&r->arena, ours, 4 << 20);
    pmt_recorder_mapped(r);
    r->events = 4;
    CHECK(pmt_recorder_read(r, last + 1, &last, false, &change));
    munmap(p, bytes);
    ended(r);
    text got = text_of_file(FILE_NAME);
    CHECK_INT(lines_with(&got, "# tracer +4194304\n"), 1);
    CHECK_INT(lines_with(&got, "# tracer -4194304\n"), 1);
    text_free(&got);
}

static void peaks(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, NULL);
    pmt_change change;
    uint64_t last = 0;
    size_t bytes = 64 << 20;
    r->events = 1;
    CHECK(pmt_recorder_read(r, pmt_clock_ticks(&r->clock), &last, false, &change));
    r->events = 2;
    munmap(taken(bytes), bytes); /* given back before the next event */
    int64_t before = r->rss_now;
    uint64_t start = last;
    CHECK(pmt_recorder_read(r, pmt_clock_ticks(&r->clock), &last, false, &change));
    CHECK(last >= start);
    CHECK(change.peak >= before + (int64_t)bytes - r->peak_granularity);
    CHECK(change.peak < before + 8 * (int64_t)bytes); /* a sanitizer keeps shadows of it */
    CHECK_INT(r->peak_max, change.peak);
    pmt_recorder_send_peak(r, a_site(r), change.peak, 1);
    r->events = 3; /* said once */
    CHECK(pmt_recorder_read(r, last + 2 * r->gate.peak_after, &last, false, &change));
    CHECK_INT(change.peak, 0);
    ended(r);
}

static void parking(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:1");
    uint32_t site = a_site(r);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) {
            pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
        }
        pmt_recorder_park(r);
        CHECK_INT(r->state, PMT_PARKED);
        CHECK(pmt_ring_drained(&r->ring));
        uint64_t sent = 0;
        while (r->state == PMT_PARKED && sent < PMT_RING_WORDS) { /* until the ring is half full, without a writer */
            pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
            sent++;
        }
        CHECK(sent == PMT_RING_WORDS / 2 + 1);
        CHECK_INT(r->state, PMT_RUNNING);
        CHECK(r->writer.back.running);
    }
    pmt_recorder_park(r);
    pmt_recorder_text(r, "while parked", 12);
    pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    uint64_t rows = r->rows;
    ended(r); /* parked: it comes back for the end */
    text got = text_of_file(FILE_NAME);
    size_t lines = 0;
    for (size_t i = 0; i < got.n; i++) {
        lines += got.bytes[i] == '\n';
    }
    CHECK_INT(lines, rows + 4); /* header, thread, message, end */
    CHECK_INT(lines_with(&got, "# while parked"), 1);
    CHECK_INT(lines_with(&got, ENDING), 1);
    text_free(&got);
}

static void leaving(void) /* an exec that fails, again and again, as execvp does */
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:1");
    uint32_t site = a_site(r);
    for (int i = 0; i < 5; i++) {
        pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
        pmt_recorder_leave(r, "# end early\n", 12);
        CHECK_INT(r->state, PMT_PARKED);
        text got = text_of_file(FILE_NAME);
        CHECK_INT(lines_with(&got, "# end early"), 1);
        text_free(&got);
        pmt_recorder_unpark(r);
        CHECK_INT(r->state, PMT_RUNNING);
    }
    ended(r);
    text got = text_of_file(FILE_NAME);
    CHECK_INT(lines_with(&got, "# end"), 1);
    CHECK_INT(lines_with(&got, "4    "), 1);
    text_free(&got);
}

static void failing(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:1");
    uint32_t site = a_site(r);
    pmt_change change;
    uint64_t last = 0;
    pmt_recorder_fail(r, -EIO, "first");
    pmt_recorder_fail(r, -ENOMEM, "second");
    CHECK_INT(r->error, -EIO);
    CHECK(strcmp(r->error_where, "first") == 0);
    pmt_recorder_text(r, "not any more", 12);
    pmt_recorder_end(r);
    CHECK_INT(r->state, PMT_FAILED);
    ended(r);

    r = made(PMT_LOG_ALL, true, "fake:1"); /* the writer's error is seen at the next reading, and nobody waits */
    unlink(FILE_NAME);
    for (int i = 0; i < 400000; i++) {
        pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    }
    r->events = 400000;
    pmt_writer_drain(&r->writer);
    CHECK_INT(pmt_recorder_error(r), -ENOENT);
    CHECK_INT(r->state, PMT_FAILED);
    CHECK(!pmt_recorder_read(r, 1, &last, false, &change));
    ended(r);

    r = made(PMT_LOG_ALL, true, "fake:1"); /* the file is gone when the writer wants it back */
    site = a_site(r);
    pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    pmt_recorder_park(r);
    unlink(FILE_NAME);
    pmt_recorder_unpark(r);
    CHECK_INT(r->state, PMT_FAILED);
    CHECK_INT(r->error, -ENOENT);
    for (int i = 0; i < 400000; i++) { /* an event in progress may still send: nobody waits */
        pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    }
    ended(r);

    pmt_options o = {.log = PMT_LOG_ALL, .has_file = true, .unshare = true, .path = "no/such/folder.log"};
    CHECK_INT(pmt_recorder_new(&r, &o, world_thread, NULL), 0);
    const char *path;
    CHECK_INT(pmt_recorder_create(r, &path), -ENOENT);
    CHECK(path == r->output.path);
    pmt_recorder_free(r);
    o.path = ".";
    CHECK_INT(pmt_recorder_new(&r, &o, world_thread, NULL), -EISDIR);
    CHECK(r == NULL);
    pmt_recorder_free(NULL);
}

static void nested(void)
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:1");
    uint32_t site = a_site(r);
    r->events = 1;
    pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    pmt_recorder_suspend(r);
    CHECK(pmt_ring_drained(&r->ring));
    char *p = taken(8 << 20);
    pmt_recorder_resume(r);
    CHECK(r->suspended_growth >= 4 << 20);
    CHECK_INT(r->rss_now - r->suspended_at, r->suspended_growth);
    pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    munmap(p, 8 << 20);
    ended(r);
    text got = text_of_file(FILE_NAME);
    CHECK_INT(lines_with(&got, "# suspended\n"), 1);
    CHECK_INT(lines_with(&got, "# resumed\n"), 1);
    text_free(&got);
}

static void forgotten(void) /* in a forked child: memory given back, the file untouched */
{
    pmt_recorder *r = made(PMT_LOG_ALL, true, "fake:1");
    uint32_t site = a_site(r);
    pmt_recorder_send(r, site, 0, pmt_clock_ticks(&r->clock));
    pmt_recorder_park(r);
    pmt_recorder_forked(r);
    CHECK_INT(r->state, PMT_OFF);
    text before = text_of_file(FILE_NAME);
    pmt_recorder_forget(r);
    CHECK_FILE(FILE_NAME, &before);
}

int main(void)
{
    peaks(); /* first: only what is above everything before it is a peak */
    sends();
    many();
    messages();
    readings();
    parking();
    leaving();
    failing();
    nested();
    forgotten();
    unlink(FILE_NAME);
    return check_done();
}
