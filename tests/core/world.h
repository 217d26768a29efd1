/* tests/core/world.h - ring, sites, sink and writer put together without a recorder, and files to compare. */
#ifndef PMT_TEST_WORLD_H
#define PMT_TEST_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "core/writer.h"

/* ---- text that grows ---- */

typedef struct text {
    char *bytes;
    size_t n, room;
} text;

static inline void text_add(text *t, const char *bytes, size_t n)
{
    if (t->n + n + 1 > t->room) {
        t->room = 2 * (t->n + n + 1);
        t->bytes = realloc(t->bytes, t->room);
    }
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    t->bytes[t->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static inline void text_put(text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *line = malloc((size_t)n + 1);
    vsnprintf(line, (size_t)n + 1, format, again);
    text_add(t, line, (size_t)n);
    free(line);
    va_end(again);
    va_end(args);
}

static inline void text_free(text *t)
{
    free(t->bytes);
    *t = (text){0};
}

static inline text text_of_file(const char *path)
{
    text t = {0};
    char buffer[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
        text_add(&t, buffer, (size_t)n);
    }
    if (fd >= 0) {
        close(fd);
    }
    return t;
}

/* ---- parts ---- */

#define WORLD_NOW UINT64_C(16000000000) /* nanoseconds on the fake clock: beyond every event */
#define HEAD "the header\n"
#define TAIL "# end\n"

typedef struct world {
    pmt_arena arena;
    pmt_ring ring;
    pmt_sites sites;
    pmt_clock clock;
    pmt_gate gate;
    pmt_output output;
    pmt_source source;
    pmt_sink *sink;
    pmt_writer writer;
    uint32_t code;
} world;

static pmt_thread_name world_threads[4] = {
    {100, 10, "MainThread"}, {101, 0, ""}, {102, 9, "two\nlines"}, {100, 10, "MainThread"}};

static inline const pmt_thread_name *world_thread(void *none, uint32_t slot)
{
    (void)none;
    return slot < 4 ? &world_threads[slot] : NULL;
}

static inline uint32_t world_code(world *w, const char *file, const char *name, uint32_t line)
{
    uint32_t id = pmt_sites_new_code(&w->sites);
    pmt_code *c = pmt_sites_code(&w->sites, id);
    c->file = pmt_names_add(&w->sites.names, file, strlen(file));
    c->name = pmt_names_add(&w->sites.names, name, strlen(name));
    c->first_line = line;
    return id;
}

static inline uint32_t world_site(world *w, uint32_t code, int offset, pmt_kind kind, const char *c_name, int line)
{
    uint32_t name = c_name == NULL ? PMT_NAME_NONE : pmt_names_add(&w->sites.names, c_name, strlen(c_name));
    uint64_t function = c_name == NULL ? 0 : 0x1000 + (uint64_t)offset;
    return pmt_sites_add(&w->sites, pmt_site_key(code, offset, kind), function, name, line);
}

/* Everything but the thread. path NULL: the null sink. */
static inline void world_make(world *w, const char *path, unsigned flags, pmt_layout layout, bool comments, uint32_t words)
{
    memset(w, 0, sizeof *w);
    CHECK_INT(pmt_ring_init(&w->ring, &w->arena, words, -1), 0);
    CHECK_INT(pmt_sites_init(&w->sites, &w->arena), 0);
    pmt_clock_init(&w->clock, "fake:0");
    w->output.fd.fd = -1;
    if (path != NULL) {
        CHECK_INT(pmt_output_init(&w->output, path, flags), 0);
        w->source = (pmt_source){.sites = &w->sites, .thread = world_thread, .output = &w->output,
                                 .first = pmt_clock_pair(&w->clock), .page = 4096};
        w->sink = pmt_text_sink_new(&w->arena, &w->source, layout, comments);
    }
    else {
        w->sink = pmt_null_sink();
    }
    CHECK(w->sink != NULL);
    CHECK_INT(pmt_writer_init(&w->writer, &w->arena, &w->ring, w->sink, path == NULL ? NULL : &w->output, &w->clock,
                              &w->gate), 0);
    atomic_store(&w->clock.fake_now, WORLD_NOW);
    w->code = world_code(w, "a/file.py", "function", 7);
}

static inline int world_start(world *w)
{
    if (!w->writer.begun) {
        w->writer.text = HEAD;
        w->writer.text_len = strlen(HEAD);
    }
    return pmt_writer_start(&w->writer);
}

static inline void world_stop(world *w)
{
    pmt_writer_stop(&w->writer, TAIL, strlen(TAIL));
}

static inline void world_free(world *w)
{
    w->sink->close(w->sink);
    pmt_writer_free(&w->writer);
    pmt_output_close(&w->output);
    pmt_output_free(&w->output);
    pmt_sites_free(&w->sites);
    pmt_ring_free(&w->ring, &w->arena);
    CHECK_INT(w->arena.mapped, 0);
}

static inline void world_push(world *w, const uint64_t *words, uint32_t n)
{
    if (!w->writer.back.running && atomic_load(&w->ring.s->head) + n - atomic_load(&w->ring.s->tail) > w->ring.mask + 1) {
        fprintf(stderr, "no writer runs and the ring is full: the rest would wait for ever\n");
        exit(1);
    }
    pmt_ring_room(&w->ring, n);
    pmt_ring_push(&w->ring, words, n);
}

static inline void world_row(world *w, uint32_t site, uint64_t event, uint64_t clock, uint64_t rss)
{
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_ROW, site), event, clock, rss}, 4);
}

static inline void world_thread_is(world *w, uint32_t slot)
{
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_THREAD, slot)}, 1);
}

/* The clock of an event in seconds: a unit of the fake clock is 64 ns. */
static inline double world_seconds(uint64_t clock)
{
    return (double)(int64_t)(clock * 64 / 1000) / 1e6;
}

static inline void put_all_row(text *t, size_t event, uint64_t clock, const char *what, const char *file, int line,
                               const char *function, size_t rss, long drss)
{
    text_put(t, "%-12zu %-12.6f %-8s %-120s#%4d %-32s %12zu %12ld\n", event, world_seconds(clock), what, file, line,
             function, rss, drss);
}

static inline void put_previous_row(text *t, const char *tag, size_t event, long devent, uint64_t clock, const char *what,
                                    const char *file, int line, const char *function, size_t rss, long drss)
{
    text_put(t, "%s: %-12zu +%-6ld %-12.6f %-8s %-80s#%4d %-32s %12zu %12ld\n", tag, event, devent, world_seconds(clock),
             what, file, line, function, rss, drss);
}

static inline void check_file(const char *path, text *want, const char *file, int line)
{
    text got = text_of_file(path);
    check_bytes(got.bytes, got.n, want->bytes, want->n, file, line);
    text_free(&got);
    text_free(want);
}
#define CHECK_FILE(path, want) check_file((path), (want), __FILE__, __LINE__)

#endif
