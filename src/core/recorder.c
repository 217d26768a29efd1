/* DESIGN: order of a start: memory, clock, kernel figures, gate (all measured before anything is counted), sink, writer
 * thread with its file, and only then the base readings; so nothing of the tracer's own is charged to the program. What
 * has to be mapped later is counted by the arena, said in the stream, and taken out of the program's growth.
 *
 * An error never reaches the program: it is kept, the state becomes PMT_FAILED, and stop() reports it. */
#include "core/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/segments.h"

#define LEAST_RING_WORDS (1u << 15) /* with --keep: twice the largest record */

static void measure(pmt_recorder *r, const pmt_recorder *like)
{
    if (like != NULL) {
        pmt_gate_like(&r->gate, &like->gate);
        r->granularity = like->granularity;
        r->peak_granularity = like->peak_granularity;
    }
    else {
        pmt_gate_init(&r->gate, &r->clock, &r->rss, pmt_gate_off_why(&r->clock, r->options.gate));
        r->granularity = pmt_rss_granularity(&r->rss);
        r->peak_granularity = pmt_rss_peak_granularity(r->rss.page);
    }
}

static int open_parts(pmt_recorder *r, const pmt_thread_name *(*thread)(void *, uint32_t), const pmt_recorder *like)
{
    const pmt_options *o = &r->options;
    int rc = pmt_sites_init(&r->sites, &r->arena);
    if (rc < 0 || (o->keep > 0 && (rc = pmt_sites_count(&r->sites)) < 0) ||
        (rc = pmt_growth_init(&r->growth, &r->arena, &r->sites.names)) < 0 || (rc = pmt_rss_open(&r->rss)) < 0) {
        return rc;
    }
    pmt_clock_init(&r->clock, o->clock);
    measure(r, like);
    r->process_start_ns = pmt_clock_process_start_ns();
    r->first_pair = pmt_clock_pair(&r->clock);
    if (o->has_file) {
        if ((rc = pmt_output_init(&r->output, o->path, o->open_flags)) < 0) {
            return rc;
        }
        r->source = (pmt_source){.sites = &r->sites, .thread = thread, .output = &r->output,
                                 .definitions = o->binary || r->output.special ? NULL : &r->second,
                                 .growth = &r->growth, .process_start_ns = r->process_start_ns, .first = r->first_pair,
                                 .page = (uint32_t)r->rss.page};
        pmt_layout layout = o->log == PMT_LOG_PREVIOUS ? PMT_LAYOUT_PREVIOUS : PMT_LAYOUT_ALL;
        r->sink = o->binary ? pmt_binary_sink_new(&r->arena, &r->source)
                            : pmt_text_sink_new(&r->arena, &r->source, layout, o->comments);
        if (o->binary || !r->output.special) {
            r->scratch = pmt_arena_map(&r->arena, PMT_MAX_DEFINE);
            r->sink = r->scratch == NULL ? NULL : r->sink;
        }
    }
    else {
        r->sink = pmt_null_sink();
    }
    if (r->sink == NULL) {
        return -errno;
    }
    rc = pmt_writer_init(&r->writer, &r->arena, &r->ring, r->sink, o->has_file ? &r->output : NULL, &r->clock, &r->gate);
    r->writer.unshare = o->unshare;
    return rc;
}

int pmt_recorder_new(pmt_recorder **out, const pmt_options *options, const pmt_thread_name *(*thread)(void *, uint32_t),
                     const pmt_recorder *like)
{
    *out = NULL;
    pmt_recorder *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);
    if (r == NULL) {
        return -ENOMEM;
    }
    memset(r, 0, sizeof *r);
    r->options = *options;
    r->output.fd.fd = r->second.fd.fd = r->rss.statm.fd = r->rss.proc.fd = -1; /* from here free() accepts it */
    r->pid = (long)getpid();
    int rc = open_parts(r, thread, like);
    if (rc < 0) {
        pmt_recorder_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

static uint32_t ring_words(const pmt_recorder *r) /* with --keep at most a quarter of all */
{
    uint32_t words = PMT_RING_WORDS;
    while (r->options.keep > 0 && words > LEAST_RING_WORDS && (int64_t)words * 8 > r->options.keep / 4) {
        words /= 2;
    }
    return words;
}

/* Segments of an older recording would be taken for ours: an error, or, where the file may be replaced, they go too. */
static int look_for_segments(pmt_recorder *r, const char **path, bool replace)
{
    uint64_t *numbers;
    size_t count;
    char *name = malloc(strlen(r->output.path) + PMT_SEGMENT_SUFFIX);
    int rc = name == NULL ? -ENOMEM : pmt_segments_find(r->output.path, NULL, &numbers, &count);
    if (rc < 0) {
        free(name);
        return rc;
    }
    free(r->second.path);
    r->second.path = name; /* room for the names of ours */
    name[0] = '\0';
    for (size_t i = 0; i < count && rc == 0; i++) {
        pmt_segment_name(name, r->output.path, numbers[i]);
        *path = name;
        rc = !replace ? -EEXIST : unlink(name) < 0 && errno != ENOENT ? -errno : 0;
    }
    free(numbers);
    return rc;
}

static int create_output(pmt_recorder *r, const char **path)
{
    unsigned flags = r->output.flags;
    int rc = 0;
    if (r->options.binary && !(flags & (PMT_OPEN_UNIQUE | PMT_OPEN_OVERWRITE))) {
        rc = look_for_segments(r, path, false);
    }
    if (rc == 0) {
        rc = pmt_output_create(&r->output);
        *path = r->output.path;
    }
    if (rc == 0 && r->options.binary && (flags & (PMT_OPEN_UNIQUE | PMT_OPEN_OVERWRITE))) {
        rc = look_for_segments(r, path, flags & PMT_OPEN_OVERWRITE);
    }
    if (rc == 0 && r->options.keep > 0) {
        r->source.segment = &r->second;
        r->source.keep = r->options.keep - PMT_RING_HEADER - (int64_t)ring_words(r) * 8;
    }
    return rc;
}

/* The ring's file, and that of a text log's definitions. A folder that takes no new files is no error: then a kill loses
 * what is not yet written. A full disk is one: there would be no room for the output either. */
static int create_ring(pmt_recorder *r)
{
    char *sites = r->source.definitions == NULL ? NULL : pmt_path_beside(r->output.path, ".sites");
    int fd = -1, rc = r->source.definitions != NULL && sites == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        fd = open(r->ring_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        rc = fd < 0 ? -errno : 0;
    }
    if (rc == 0) {
        rc = pmt_ring_init(&r->ring, &r->arena, ring_words(r), fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (rc == 0 && sites != NULL) {
        unlink(sites); /* without its ring it is of no use to anybody */
        rc = pmt_output_init(&r->second, sites, 0);
        rc = rc < 0 ? rc : pmt_output_create(&r->second);
        if (rc < 0) {
            pmt_ring_free(&r->ring, &r->arena);
        }
    }
    if (rc < 0 && fd >= 0) {
        unlink(r->ring_path);
    }
    free(sites);
    return rc;
}

/* The ring comes first, so that where there is no room for it nothing was replaced; but a name that has yet to be found
 * free is the output's. */
static int create_files(pmt_recorder *r, const char **path)
{
    bool named = !(r->output.flags & PMT_OPEN_UNIQUE);
    int rc = named ? 0 : create_output(r, path);
    if (rc < 0) {
        return rc;
    }
    r->ring_path = pmt_path_beside(r->output.path, ".ring");
    rc = r->ring_path == NULL ? -ENOMEM : create_ring(r);
    r->ring_ours = rc == 0;
    if (rc == -EEXIST || rc == -ENOMEM || rc == -ENOSPC || rc == -EDQUOT) {
        *path = r->ring_path;
        return rc;
    }
    r->ring_error = rc;
    return named ? create_output(r, path) : 0;
}

static void describe(const pmt_recorder *r, pmt_ring_shared *s)
{
    s->output_dev = r->output.dev;
    s->output_ino = r->output.ino;
    s->pid = (uint32_t)r->pid;
    s->pid_start = pmt_process_start_ticks(r->pid);
    s->process_start_ns = r->process_start_ns;
    s->first = r->first_pair;
    s->ns_per_clock = 1e9 * (1 << PMT_CLOCK_SHIFT) / r->gate.ticks_per_second;
    s->page = (uint32_t)r->rss.page;
    s->keep = r->source.keep;
    s->comments = r->options.comments;
    s->format = r->options.binary                      ? PMT_RING_CAPTURE
                : r->options.log == PMT_LOG_PREVIOUS ? PMT_RING_PREVIOUS
                                                      : PMT_RING_ALL;
}

int pmt_recorder_create(pmt_recorder *r, const char **path)
{
    int rc = 0;
    *path = r->output.path;
    if (r->options.has_file && !r->output.special) {
        rc = create_files(r, path);
        if (rc < 0) {
            return rc;
        }
    }
    else if (r->options.keep > 0) {
        return -ESPIPE;
    }
    if (!r->ring_ours) {
        r->source.definitions = NULL;
        rc = pmt_ring_init(&r->ring, &r->arena, ring_words(r), -1);
    }
    if (rc == 0) {
        describe(r, r->ring.s);
        pmt_ring_ready(&r->ring);
        r->writer.second = r->source.segment != NULL ? r->source.segment : r->source.definitions;
    }
    return rc;
}

/* All that the ring held is in the output, or cannot get there. If recording goes on, after an exec that failed, then
 * without these files: a kill loses from there on what is not yet written. */
static void remove_leftovers(pmt_recorder *r)
{
    if (r->ring_ours) {
        if (r->source.definitions != NULL) {
            unlink(r->second.path); /* first: a ring whose end is written needs nothing else */
        }
        unlink(r->ring_path);
        r->ring_ours = false;
        if (r->writer.second == r->source.definitions) {
            r->writer.second = NULL;
        }
        r->source.definitions = NULL;
    }
}

/* A start that failed leaves no file that was not there. */
static void take_back(pmt_recorder *r)
{
    if (r->output.made && !r->writer.begun) {
        unlink(r->output.path);
        if (r->source.segment != NULL && r->second.made) {
            unlink(r->second.path);
        }
    }
}

int pmt_recorder_open(pmt_recorder *r, const char *text, size_t n)
{
    r->writer.text = text;
    r->writer.text_len = n;
    return pmt_writer_start(&r->writer);
}

void pmt_recorder_begin(pmt_recorder *r, uint32_t generation)
{
    r->generation = generation;
    r->clock_sent = r->first_pair.clock;
    r->slot_sent = UINT32_MAX;
    r->last_slot = UINT32_MAX;
    pmt_filter_begin(&r->filter, r->options.threshold);
    r->mapped_seen = r->mapped_sent = r->arena.mapped;
    r->peak_base = pmt_rss_peak(&r->rss);
    r->rss_now = pmt_rss_read(&r->rss);
    r->rss_max = r->rss_now;
    r->begun_ns = pmt_clock_monotonic_ns();
    r->state = PMT_RUNNING;
}

void pmt_recorder_end(pmt_recorder *r)
{
    r->last_pair = pmt_clock_pair(&r->clock);
    if (r->state != PMT_FAILED) {
        r->state = PMT_OFF;
    }
}

void pmt_recorder_close(pmt_recorder *r, const char *text, size_t n)
{
    if (!r->writer.back.running && r->writer.begun) { /* parked: it has to come back for the end */
        int rc = pmt_writer_start(&r->writer);
        if (rc < 0) {
            pmt_recorder_fail(r, rc, "opening the log again");
        }
    }
    pmt_writer_stop(&r->writer, text, n);
    remove_leftovers(r);
    if (pmt_recorder_error(r) < 0 && r->sink->rows < r->rows) {
        r->rows = r->sink->rows; /* what came after the error is not in the file */
    }
}

void pmt_recorder_leave(pmt_recorder *r, const char *text, size_t n)
{
    pmt_state state = r->state;
    if (state != PMT_OFF) {
        pmt_recorder_close(r, text, n);
        bool again = state != PMT_SUSPENDED && state != PMT_FAILED && r->state != PMT_FAILED;
        r->state = again ? PMT_PARKED : r->state;
        r->ring.limit = 0;
        r->parked_at = 0;
    }
}

void pmt_recorder_free(pmt_recorder *r)
{
    if (r == NULL) {
        return;
    }
    if (r->sink != NULL) {
        r->sink->close(r->sink);
    }
    remove_leftovers(r); /* of a start that failed */
    take_back(r);
    pmt_writer_free(&r->writer);
    pmt_output_close(&r->output); /* a device or pipe, kept open for a fork */
    pmt_output_free(&r->output);
    pmt_output_free(&r->second);
    free(r->ring_path);
    if (r->scratch != NULL) {
        pmt_arena_unmap(&r->arena, r->scratch, PMT_MAX_DEFINE);
    }
    pmt_rss_close(&r->rss);
    pmt_growth_free(&r->growth);
    pmt_sites_free(&r->sites);
    pmt_ring_free(&r->ring, &r->arena);
    free(r);
}

void pmt_recorder_forget(pmt_recorder *r)
{
    r->writer.back.running = false; /* its thread is the parent's, */
    r->ring_ours = false;      /* and so are the files */
    r->output.made = false;
    r->output.fd.fd = r->output.special ? r->output.fd.fd : -1; /* a number of that thread's own table */
    pmt_recorder_free(r);
}

void pmt_recorder_forked(pmt_recorder *r)
{
    for (; r != NULL; r = r->outer) {
        r->was = r->state != PMT_OFF ? r->state : r->was; /* its children's, too, unless it records */
        r->state = PMT_OFF;
        r->writer.back.running = false; /* a thread of the parent's */
        r->pid = 0;                /* of no process here, whatever its number */
    }
}

void pmt_recorder_fail(pmt_recorder *r, int rc, const char *where)
{
    if (r->error == 0) {
        r->error = rc;
        r->error_where = where;
    }
    r->state = PMT_FAILED;
}

int pmt_recorder_error(pmt_recorder *r)
{
    int rc = pmt_writer_error(&r->writer);
    if (rc < 0 && r->error == 0) {
        pmt_recorder_fail(r, rc, "writing the log");
    }
    return r->error;
}

bool pmt_recorder_read(pmt_recorder *r, uint64_t now, uint64_t *last, bool audit, pmt_change *out)
{
    bool longish = now - *last > r->gate.peak_after;
    uint64_t begin = pmt_clock_ticks(&r->clock);
    int64_t rss = pmt_rss_read(&r->rss);
    *last = pmt_clock_ticks(&r->clock);
    pmt_gate_was_read(&r->gate, begin, *last);
    if (rss < 0) {
        pmt_recorder_fail(r, (int)rss, "reading /proc/self/statm");
        return false;
    }
    if (pmt_recorder_error(r) < 0) { /* the writer's error is seen here at the latest */
        return false;
    }
    int64_t ours = r->arena.mapped - r->mapped_seen;
    *out = (pmt_change){.program = rss - r->rss_now - ours, .changed = rss != r->rss_now};
    r->mapped_seen = r->arena.mapped;
    if (r->events == 1) { /* event 0: what was before is not the recording's */
        r->rss_first = rss;
        r->peak_before = r->peak_base;
        out->program = 0;
    }
    else {
        r->tracer_growth += ours;
        if (audit) {
            r->gate.audit_tried++;
            r->gate.audit_differed += out->changed;
        }
        if (longish && r->options.compute == PMT_COMPUTE_ALL) {
            int64_t peak = pmt_rss_peak(&r->rss), seen = r->rss_max > rss ? r->rss_max : rss;
            seen = seen > r->peak_base ? seen : r->peak_base;
            if (peak > seen + r->peak_granularity) {
                out->peak = r->peak_base = peak;
                r->peak_max = peak > r->peak_max ? peak : r->peak_max;
            }
            *last = r->gate.read_at = pmt_clock_ticks(&r->clock);
        }
    }
    r->rss_now = rss;
    r->rss_max = rss > r->rss_max ? rss : r->rss_max;
    return true;
}

void pmt_recorder_make_room(pmt_recorder *r, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->ring.s->head, memory_order_relaxed);
    if (r->state == PMT_PARKED) {
        /* acquire, pairs with the release in pop; no writer runs, so it stands still. */
        uint64_t tail = atomic_load_explicit(&r->ring.s->tail, memory_order_acquire);
        uint64_t half = (r->ring.mask + 1) / 2; /* full: a parked writer starts again */
        if (head + n - tail <= half) {
            r->ring.limit = tail + half;
            return;
        }
        pmt_recorder_unpark(r);
    }
    if (r->writer.back.running) {
        pmt_ring_make_room(&r->ring, n);
    }
    else { /* no writer any more: the words go nowhere, and the next reading or stop() says why */
        atomic_store_explicit(&r->ring.s->tail, head, memory_order_relaxed);
        r->ring.limit = head + PMT_RING_CHUNK;
    }
    (void)pmt_recorder_error(r);
}

void pmt_recorder_park(pmt_recorder *r)
{
    for (; r != NULL; r = r->outer) {
        pmt_writer_park(&r->writer);
        if (r->state == PMT_RUNNING) {
            r->state = PMT_PARKED;
            r->parked_at = 0;
            r->ring.limit = 0; /* the next record looks up */
        }
    }
}

static void restart_writer(pmt_recorder *r)
{
    r->state = PMT_RUNNING;
    r->ring.limit = 0;
    int rc = r->writer.back.running ? 0 : pmt_writer_start(&r->writer);
    if (rc < 0) {
        pmt_recorder_fail(r, rc, "opening the log again");
    }
}

void pmt_recorder_unpark(pmt_recorder *r)
{
    if (r->state == PMT_PARKED) {
        restart_writer(r);
    }
}

static void send_thread(pmt_recorder *r, uint32_t slot)
{
    if (slot != r->slot_sent) {
        uint64_t word = pmt_word(PMT_ESC_THREAD, slot);
        pmt_recorder_room(r, 1);
        pmt_ring_push(&r->ring, &word, 1);
        r->slot_sent = slot;
    }
}

void pmt_recorder_send_row(pmt_recorder *r, uint32_t site, uint32_t slot, uint64_t event, uint64_t clock, uint64_t rss)
{
    send_thread(r, slot);
    uint64_t words[4] = {pmt_word(PMT_ESC_ROW, site), event, clock, rss};
    pmt_recorder_room(r, 4);
    pmt_ring_push(&r->ring, words, 4);
    r->rows++;
}

void pmt_recorder_send_peak(pmt_recorder *r, uint32_t site, int64_t peak, uint64_t event)
{
    uint64_t words[3] = {pmt_word(PMT_ESC_PEAK, site), (uint64_t)peak, event};
    if (r->options.has_file) {
        pmt_recorder_room(r, 3);
        pmt_ring_push(&r->ring, words, 3);
    }
}

void pmt_recorder_define(pmt_recorder *r, size_t n)
{
    uint32_t words = 1 + (uint32_t)((n + 7) / 8);
    memset(r->scratch + n, 0, (size_t)(words - 1) * 8 - n);
    pmt_recorder_room(r, words);
    uint64_t head = atomic_load_explicit(&r->ring.s->head, memory_order_relaxed), word;
    r->ring.words[head & r->ring.mask] = pmt_word(PMT_ESC_DEFINE, (uint32_t)n);
    for (uint32_t i = 1; i < words; i++) {
        memcpy(&word, r->scratch + (size_t)(i - 1) * 8, 8);
        r->ring.words[(head + i) & r->ring.mask] = word;
    }
    /* release: as in pmt_ring_push. */
    atomic_store_explicit(&r->ring.s->head, head + words, memory_order_release);
}

void pmt_recorder_mapped(pmt_recorder *r)
{
    int64_t ours = r->arena.mapped - r->mapped_sent;
    r->mapped_sent = r->arena.mapped;
    if (ours != 0 && r->options.has_file) {
        uint64_t words[2] = {pmt_word(PMT_ESC_TRACER, 0), (uint64_t)ours};
        pmt_recorder_room(r, 2);
        pmt_ring_push(&r->ring, words, 2);
    }
}

static void send_nested(pmt_recorder *r, uint32_t suspended)
{
    if (r->options.has_file) {
        uint64_t word = pmt_word(PMT_ESC_NESTED, suspended);
        pmt_recorder_room(r, 1);
        pmt_ring_push(&r->ring, &word, 1);
    }
}

void pmt_recorder_suspend(pmt_recorder *r)
{
    pmt_recorder_unpark(r);
    if (r->state == PMT_RUNNING) {
        send_nested(r, 1);
        pmt_writer_drain(&r->writer); /* thread slots may be given to others from here on */
        r->state = r->state == PMT_RUNNING ? PMT_SUSPENDED : r->state;
    }
    r->suspended_at = r->rss_now;
}

void pmt_recorder_resume(pmt_recorder *r)
{
    if (r->state != PMT_SUSPENDED) {
        return;
    }
    pmt_sites_distrust(&r->sites); /* the nested one's marks were on the code objects, their deaths told to it */
    restart_writer(r); /* a fork of the nested one may have ended it */
    int64_t rss = pmt_rss_read(&r->rss);
    if (r->state != PMT_RUNNING || rss < 0) {
        return;
    }
    if (r->options.binary && r->events > 0) { /* what happened meanwhile is told from what the next event sees */
        uint64_t words[2] = {pmt_word(PMT_ESC_RSS, 0), (uint64_t)rss};
        pmt_recorder_room(r, 2);
        pmt_ring_push(&r->ring, words, 2);
        r->rss_sent = rss;
    }
    send_nested(r, 0);
    if (r->events > 0) {
        r->suspended_growth += rss - r->suspended_at;
    }
    r->rss_now = rss;
    r->rss_max = rss > r->rss_max ? rss : r->rss_max;
    r->mapped_seen = r->arena.mapped;
    int64_t peak = pmt_rss_peak(&r->rss);
    r->peak_base = peak > r->peak_base ? peak : r->peak_base;
}

void pmt_recorder_text(pmt_recorder *r, const char *text, size_t n)
{
    uint64_t words[PMT_RECORD_WORDS];
    bool open = r->state == PMT_RUNNING || r->state == PMT_PARKED || r->state == PMT_SUSPENDED;
    if (!r->options.has_file || !open) {
        return;
    }
    do {
        const char *end = memchr(text, '\n', n);
        size_t line = end == NULL ? n : (size_t)(end - text);
        size_t part = line < PMT_MAX_TEXT ? line : PMT_MAX_TEXT;
        while (part < line && part > 0 && (text[part] & 0xC0) == 0x80) {
            part--; /* not in the middle of a character */
        }
        uint32_t count = 1 + (uint32_t)(part + 7) / 8;
        words[count - 1] = 0; /* the padding of the last word */
        words[0] = pmt_word(PMT_ESC_TEXT, (uint32_t)part);
        memcpy(words + 1, text, part);
        pmt_recorder_room(r, count);
        pmt_ring_push(&r->ring, words, count);
        part += part == line && part < n; /* the line feed itself */
        text += part;
        n -= part;
    } while (n > 0);
}
