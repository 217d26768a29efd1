/* DESIGN: the checkpoint that was chosen says how much of the output counts. What is behind that in the file was being
 * written when the process died, and is still in the ring: it is cut off and made anew, by the same sink, which goes on
 * as if nothing had happened. Until the end is written the ring stays as it is: a recovery that is killed is repeated. */
#include "core/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/define.h"
#include "core/reader.h"
#include "core/segments.h"

#define MOST_WORDS (UINT64_C(1) << 26)
#define DEFINED_WORDS ((PMT_MAX_DEFINE + 7) / 8)

typedef struct remains {
    const char *path;
    char *ring_path, *sites_path;
    pmt_ring_shared s;
    pmt_checkpoint c;
    uint64_t *words, head;   /* of the ring, all of it; where what is to be brought back ends */
    uint64_t *copy;          /* of a definition; owned */
    pmt_reader definitions;  /* its dictionary is the one in use */
    bool reading;
    pmt_output output, segment;
    pmt_recovered *out;
} remains;

__attribute__((format(printf, 3, 4))) static int refuse(remains *m, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(m->out->why, sizeof m->out->why, format, args);
    va_end(args);
    return rc;
}

static bool possible(int64_t ns)
{
    return ns >= -PMT_NS_LIMIT / 2 && ns <= PMT_NS_LIMIT / 2; /* what pair_at adds to it is a time still */
}

/* What the sinks calculate with, without a look at it. */
static bool possible_numbers(const pmt_ring_shared *s, const pmt_checkpoint *c)
{
    const pmt_timeline *t = &c->timeline;
    return possible(s->process_start_ns) && possible(s->first.ns) && s->first.clock <= PMT_CLOCK_LIMIT &&
           s->ns_per_clock >= 0 && s->ns_per_clock < 1e9 && possible(t->from.ns) && t->from.clock <= PMT_CLOCK_LIMIT &&
           possible(t->start_ns) && c->clock <= PMT_CLOCK_LIMIT && c->rss <= (uint64_t)PMT_RSS_LIMIT &&
           c->rss_shown >= 0 && c->rss_shown <= PMT_RSS_LIMIT;
}

static bool valid(const remains *m, int64_t size)
{
    const pmt_ring_shared *s = &m->s;
    const pmt_checkpoint *c = &m->c;
    return possible_numbers(s, c) && s->bytes == PMT_RING_HEADER && s->words >= 16 && s->words <= MOST_WORDS && (s->words & (s->words - 1)) == 0 &&
           size >= (int64_t)(PMT_RING_HEADER + s->words * 8) && s->format <= PMT_RING_CAPTURE && s->page >= 1024 &&
           (s->page & (s->page - 1)) == 0 && s->chosen <= 1 && c->tail <= m->head &&
           c->output >= 0 && c->definitions >= 0 && s->keep >= 0 && (s->keep == 0 || c->output == 0 || (c->segment > 0 && s->format == PMT_RING_CAPTURE)) &&
           (c->output > 0 || m->head == 0);
}

/* Was it killed before it could record anything? Then the output, which may be an older one, is left alone. */
static bool unborn(const remains *m)
{
    static const char none[sizeof m->s.magic];
    return memcmp(m->s.magic, none, sizeof none) == 0 && atomic_load_explicit(&m->s.head, memory_order_relaxed) == 0;
}

static int read_ring(remains *m)
{
    struct stat st;
    int fd = open(m->ring_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 1 : refuse(m, -errno, "%s cannot be opened: %s", m->ring_path, strerror(errno));
    }
    int rc = 0;
    ssize_t n = pread(fd, &m->s, sizeof m->s, 0);
    if (n >= 0 && unborn(m)) {
        m->s = (pmt_ring_shared){0};
    }
    else if (n != (ssize_t)sizeof m->s || fstat(fd, &st) < 0 ||
             memcmp(m->s.magic, PMT_RING_MAGIC, sizeof m->s.magic) != 0) {
        rc = refuse(m, -EBADMSG, "%s is not the ring of a recording", m->ring_path);
    }
    else if (m->s.version != 1) {
        rc = refuse(m, -ENOTSUP, "%s is of another version of pymemtrace (its layout is %u, this one's 1)", m->ring_path,
                    m->s.version);
    }
    else if (m->s.pid_start != 0 && pmt_process_start_ticks((long)m->s.pid) == m->s.pid_start) {
        rc = refuse(m, -EBUSY, "%s is being written: process %u lives", m->path, m->s.pid);
    }
    else {
        m->head = atomic_load_explicit(&m->s.head, memory_order_relaxed);
        m->c = m->s.checkpoints[atomic_load_explicit(&m->s.chosen, memory_order_relaxed) & 1];
        if (!valid(m, (int64_t)st.st_size)) {
            rc = refuse(m, -EBADMSG, "%s is damaged: its header contradicts itself", m->ring_path);
        }
        else if (m->head - m->c.tail > m->s.words) { /* it could not be written any more, and went nowhere */
            m->head = m->c.tail;
        }
    }
    if (rc == 0 && m->s.words > 0) {
        size_t bytes = (size_t)m->s.words * 8, done = 0;
        m->words = malloc(bytes);
        m->copy = malloc(DEFINED_WORDS * sizeof *m->copy);
        for (ssize_t n = 1; m->words != NULL && m->copy != NULL && done < bytes && n > 0; done += n > 0 ? (size_t)n : 0) {
            n = pread(fd, (char *)m->words + done, bytes - done, (off_t)(PMT_RING_HEADER + done));
        }
        rc = m->words == NULL || m->copy == NULL ? -ENOMEM : done < bytes ? refuse(m, -EIO, "%s cannot be read", m->ring_path) : 0;
    }
    close(fd);
    return rc;
}

/* Is it what the ring belongs to, as far as that can be told? It may have been moved or copied. */
static bool ours(const remains *m)
{
    char last = '\0';
    if (m->s.format == PMT_RING_CAPTURE) {
        pmt_reader r;
        bool same = pmt_reader_open(&r, m->path) == 0 && r.first.clock == m->s.first.clock && r.first.ns == m->s.first.ns;
        pmt_reader_close(&r);
        return same;
    }
    int fd = open(m->path, O_RDONLY | O_CLOEXEC);
    bool line = fd >= 0 && pread(fd, &last, 1, (off_t)m->c.output - 1) == 1 && last == '\n';
    if (fd >= 0) {
        close(fd);
    }
    return line; /* what counts of a log ends with a line */
}

static int open_output(remains *m)
{
    struct stat st;
    int rc = pmt_output_init(&m->output, m->path, 0);
    if (rc < 0 || stat(m->path, &st) < 0) {
        rc = rc < 0 ? rc : -errno;
        return refuse(m, rc, "%s cannot be opened: %s", m->path, strerror(-rc));
    }
    if (m->output.special || st.st_size < m->c.output) {
        return refuse(m, -EBADMSG, "%s is shorter than its ring says: it is another file, or was cut", m->path);
    }
    if (!ours(m)) {
        return refuse(m, -EBADMSG, "%s is not the file that %s belongs to", m->path, m->ring_path);
    }
    m->output.dev = st.st_dev;
    m->output.ino = st.st_ino;
    m->output.created = true;
    m->output.size = m->c.output;
    rc = pmt_output_open(&m->output, false);
    return rc < 0 ? refuse(m, rc, "%s cannot be opened for writing: %s", m->path, strerror(-rc)) : 0;
}

/* Segments begun since the checkpoint go, the one at hand is cut to what counts: all that is in the ring. */
static int cut_segments(remains *m)
{
    uint64_t *numbers;
    size_t count, n = strlen(m->path) + PMT_SEGMENT_SUFFIX;
    struct stat st;
    char *name = malloc(n);
    int rc = name == NULL ? -ENOMEM : pmt_segments_find(m->path, &m->s.first, &numbers, &count);
    if (rc < 0) {
        free(name);
        return refuse(m, rc, "no memory");
    }
    m->segment = (pmt_output){.path = name, .fd.fd = -1};
    for (size_t i = 0; i < count; i++) {
        pmt_segment_name(name, m->path, numbers[i]);
        if (numbers[i] > m->c.segment && unlink(name) < 0 && errno != ENOENT) {
            rc = refuse(m, -errno, "%s cannot be removed: %s", name, strerror(errno));
        }
    }
    free(numbers);
    pmt_segment_name(name, m->path, m->c.segment);
    if (rc == 0 && (stat(name, &st) < 0 || st.st_size < m->c.definitions)) {
        rc = refuse(m, -EBADMSG, "%s is missing or shorter than %s says", name, m->ring_path);
    }
    if (rc < 0) {
        return rc;
    }
    m->segment.dev = st.st_dev;
    m->segment.ino = st.st_ino;
    m->segment.created = true;
    m->segment.size = m->c.definitions;
    rc = pmt_output_open(&m->segment, false);
    rc = rc < 0 ? rc : pmt_output_cut(&m->segment, m->c.definitions);
    return rc < 0 ? refuse(m, rc, "%s cannot be cut to what counts: %s", name, strerror(-rc)) : 0;
}

/* The definitions that are in a file, up to the checkpoint: what is behind it is in the ring as well. */
static int read_definitions(remains *m)
{
    bool capture = m->s.format == PMT_RING_CAPTURE;
    const char *path = capture ? m->path : m->sites_path;
    struct stat st;
    if (!capture && stat(path, &st) == 0 && st.st_size < m->c.definitions) {
        return refuse(m, -EBADMSG, "%s is shorter than %s says", path, m->ring_path);
    }
    int rc = capture ? pmt_output_cut(&m->output, m->c.output) : truncate(path, (off_t)m->c.definitions) < 0 ? -errno : 0;
    if (rc < 0) {
        return refuse(m, rc, "%s cannot be cut to what counts: %s", path, strerror(-rc));
    }
    rc = m->s.keep > 0 ? cut_segments(m) : 0;
    if (rc < 0) {
        return rc;
    }
    m->reading = true;
    rc = pmt_reader_open(&m->definitions, path);
    if (rc == 0 && m->s.keep > 0) {
        rc = pmt_reader_totals(&m->definitions);
        m->definitions.dictionary.sink_counts = true;
    }
    while (rc == 0 && m->s.keep == 0 && (rc = pmt_reader_block(&m->definitions)) == 1) {
        rc = 0;
    }
    if (rc == 0 && !pmt_reader_at_end(&m->definitions)) {
        rc = -EBADMSG;
    }
    return rc < 0 ? refuse(m, rc, "%s: %s", path, m->definitions.why[0] != '\0' ? m->definitions.why : strerror(-rc)) : 0;
}

static bool known(const remains *m, uint32_t site, bool event)
{
    const pmt_dictionary *d = &m->definitions.dictionary;
    return event ? pmt_dictionary_has_site(d, site) : site < d->high;
}

/* Of a record of several words. */
static bool possible_values(const remains *m, uint32_t escape, uint64_t first, uint64_t second, uint64_t third)
{
    switch (escape) {
    case PMT_ESC_RSS:
        return first <= (uint64_t)PMT_RSS_LIMIT && first % m->s.page == 0;
    case PMT_ESC_CLOCK:
        return first <= PMT_CLOCK_LIMIT;
    case PMT_ESC_ROW:
        return second <= PMT_CLOCK_LIMIT && (third & ~PMT_ROW_PREV) <= (uint64_t)PMT_RSS_LIMIT;
    case PMT_ESC_PEAK:
        return first <= (uint64_t)PMT_RSS_LIMIT && second <= INT64_MAX;
    default:
        return true;
    }
}

/* Whole records from m->c.tail on, up to the next definition or one that makes no sense; adds up their time. */
static uint64_t stretch(const remains *m, uint64_t at, uint64_t *clock)
{
    uint64_t mask = m->s.words - 1;
    while (at < m->head) {
        uint64_t word = m->words[at & mask], first = m->words[(at + 1) & mask];
        uint32_t n = pmt_record_words(word), low = (uint32_t)word, high = (uint32_t)(word >> 32);
        if (n == 0 || n > m->head - at || low == PMT_ESC_DEFINE) {
            break;
        }
        if ((low >= PMT_SITE_FIRST && !known(m, low, true)) || (low == PMT_ESC_ROW && !known(m, high, true)) ||
            (low == PMT_ESC_PEAK && high != 0 && !known(m, high, false)) ||
            !possible_values(m, low, first, m->words[(at + 2) & mask], m->words[(at + 3) & mask])) {
            break;
        }
        *clock = low >= PMT_SITE_FIRST    ? *clock + high
                 : low == PMT_ESC_CLOCK ? first
                 : low == PMT_ESC_ROW   ? m->words[(at + 2) & mask]
                                        : *clock;
        at += n;
    }
    return at;
}

static pmt_pair pair_at(const remains *m, uint64_t clock)
{
    pmt_pair from = m->c.timeline.from.clock != 0 ? m->c.timeline.from : m->s.first;
    double ns = clock > from.clock ? (double)(clock - from.clock) * m->s.ns_per_clock : 0, most = (double)PMT_NS_LIMIT / 2;
    ns = ns < most ? ns : most;
    return (pmt_pair){clock > from.clock ? clock : from.clock, from.ns + (int64_t)ns};
}

static int define(remains *m, uint64_t at, uint32_t bytes)
{
    if (bytes == 0) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < (bytes + 7) / 8; i++) {
        m->copy[i] = m->words[(at + 1 + i) & (m->s.words - 1)];
    }
    pmt_bytes b = {(const uint8_t *)m->copy, (const uint8_t *)m->copy + bytes, false};
    return pmt_dictionary_apply(&m->definitions.dictionary, &b);
}

/* A PREV is of no use without its NEXT: where that did not come any more, the recording ends before both. */
static void trim_lonely_prev(remains *m)
{
    uint64_t mask = m->s.words - 1, lonely = UINT64_MAX;
    uint32_t n = 0;
    for (uint64_t at = m->c.tail; m->s.format == PMT_RING_PREVIOUS && at < m->head; at += n) {
        uint64_t word = m->words[at & mask];
        n = pmt_record_words(word);
        if (n == 0 || n > m->head - at) {
            break;
        }
        if ((uint32_t)word == PMT_ESC_ROW) {
            lonely = m->words[(at + 3) & mask] & PMT_ROW_PREV ? at : UINT64_MAX;
        }
    }
    m->head = lonely < m->head ? lonely : m->head;
}

static int feed(remains *m, pmt_sink *sink)
{
    trim_lonely_prev(m);
    uint64_t at = m->c.tail, mask = m->s.words - 1, clock = m->c.clock;
    int rc = 0;
    while (rc == 0 && at < m->head) {
        uint64_t to = stretch(m, at, &clock), from = at;
        uint64_t word = m->words[to & mask];
        if (to == from) {
            uint32_t n = pmt_record_words(word);
            if ((uint32_t)word != PMT_ESC_DEFINE || n == 0 || n > m->head - at) {
                return refuse(m, -EBADMSG, "%s is damaged: word %llu makes no sense", m->ring_path,
                              (unsigned long long)at);
            }
            rc = define(m, at, (uint32_t)(word >> 32));
            if (rc < 0) {
                return refuse(m, rc, "%s is damaged: the definition at word %llu makes no sense", m->ring_path,
                              (unsigned long long)at);
            }
            to = at + n;
        }
        while (rc == 0 && at < to) {
            rc = sink->records(sink, m->words, mask, &at, to, PMT_RING_CHUNK, pair_at(m, clock));
        }
    }
    return rc < 0 ? refuse(m, rc, "%s cannot be written: %s", m->path, strerror(-rc)) : 0;
}

static int put_back(remains *m)
{
    bool capture = m->s.format == PMT_RING_CAPTURE;
    pmt_arena arena = {0};
    pmt_dictionary *d = &m->definitions.dictionary;
    pmt_source source = {.sites = &d->sites, .thread = pmt_dictionary_thread_of, .threads = d, .output = &m->output,
                         .process_start_ns = m->s.process_start_ns, .first = m->s.first, .page = m->s.page,
                         .segment = m->s.keep > 0 ? &m->segment : NULL, .keep = m->s.keep};
    pmt_layout layout = m->s.format == PMT_RING_PREVIOUS ? PMT_LAYOUT_PREVIOUS : PMT_LAYOUT_ALL;
    pmt_sink *sink = capture ? pmt_binary_sink_new(&arena, &source)
                             : pmt_text_sink_new(&arena, &source, layout, m->s.comments != 0);
    if (sink == NULL) {
        return refuse(m, -errno, "no memory");
    }
    struct stat st;
    int64_t before = stat(m->path, &st) == 0 ? (int64_t)st.st_size : m->c.output;
    int rc = pmt_output_cut(&m->output, m->c.output);
    sink->resume(sink, &m->c);
    rc = rc < 0 ? refuse(m, rc, "%s cannot be cut to what counts: %s", m->path, strerror(-rc)) : feed(m, sink);
    if (rc == 0 && (capture || m->s.comments)) {
        char text[96];
        int n = snprintf(text, sizeof text, "# logged: %llu\n# end recovered\n", (unsigned long long)sink->rows);
        rc = sink->end(sink, text, (size_t)n);
        rc = rc < 0 ? refuse(m, rc, "%s cannot be written: %s", m->path, strerror(-rc)) : 0;
    }
    m->out->events = sink->rows - m->c.rows;
    m->out->bytes = m->output.size - before;
    sink->close(sink);
    return rc;
}

/* All is written: if we are killed while the files are removed, the next time there is only that to do. */
static int note_done(remains *m)
{
    pmt_checkpoint c = m->c;
    uint32_t other = 1 - (m->s.chosen & 1);
    int fd = open(m->ring_path, O_WRONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
    c.ended = 1;
    c.tail = atomic_load_explicit(&m->s.head, memory_order_relaxed); /* also what was left out is done with */
    off_t at = (off_t)(offsetof(pmt_ring_shared, checkpoints) + other * sizeof c);
    if (rc == 0 && (pwrite(fd, &c, sizeof c, at) != (ssize_t)sizeof c ||
                    pwrite(fd, &other, sizeof other, offsetof(pmt_ring_shared, chosen)) != (ssize_t)sizeof other)) {
        rc = -EIO;
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc < 0 ? refuse(m, rc, "%s cannot be written: %s", m->ring_path, strerror(-rc)) : 0;
}

/* Killed before its first event: if the file is the one that it had made or found empty, then there is a piece of a header
 * in it at most. */
static void empty_output(const remains *m)
{
    struct stat st;
    uint64_t *numbers = NULL;
    size_t count = 0;
    bool mine = m->s.words > 0 && stat(m->path, &st) == 0 && S_ISREG(st.st_mode) &&
                (uint64_t)st.st_dev == m->s.output_dev && (uint64_t)st.st_ino == m->s.output_ino;
    if (!mine || truncate(m->path, 0) < 0) {
        return; /* it is no less true for that */
    }
    char *name = m->s.keep > 0 ? malloc(strlen(m->path) + PMT_SEGMENT_SUFFIX) : NULL;
    if (name != NULL && pmt_segments_find(m->path, &m->s.first, &numbers, &count) == 0 && count == 1) {
        pmt_segment_name(name, m->path, numbers[0]); /* it has just begun */
        unlink(name);
    }
    free(numbers);
    free(name);
}

int pmt_recover(const char *path, pmt_recovered *out)
{
    remains m = {.path = path, .ring_path = pmt_path_beside(path, ".ring"),
                 .sites_path = pmt_path_beside(path, ".sites"), .out = out};
    *out = (pmt_recovered){0};
    m.output.fd.fd = m.segment.fd.fd = -1;
    int rc = m.ring_path == NULL || m.sites_path == NULL ? refuse(&m, -ENOMEM, "no memory") : read_ring(&m);
    if (rc == 0 && m.c.output == 0) {
        empty_output(&m);
    }
    else if (rc == 0 && !(m.c.ended && m.c.tail == m.head)) { /* else only the removal was missing */
        rc = open_output(&m);
        rc = rc < 0 ? rc : read_definitions(&m);
        rc = rc < 0 ? rc : put_back(&m);
        rc = rc < 0 ? rc : note_done(&m);
        pmt_output_close(&m.output);
        pmt_output_close(&m.segment);
    }
    if (rc == 0) {
        unlink(m.sites_path);
        unlink(m.ring_path);
    }
    if (m.reading) {
        pmt_reader_close(&m.definitions);
    }
    pmt_output_free(&m.output);
    pmt_output_free(&m.segment);
    free(m.words);
    free(m.copy);
    free(m.ring_path);
    free(m.sites_path);
    return rc;
}
