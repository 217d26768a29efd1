/* DESIGN: ticks are due at fixed moments of CLOCK_MONOTONIC, so that a late one shifts none of the others; those that have
 * passed by then are counted in the next line, never made up for. The thread sleeps on a futex with an absolute time-out:
 * an order or a marker wakes it at once.
 *
 * Markers hang on a list to which any thread adds at the front, and which the sampler takes as a whole. Whoever gives one
 * waits until it is written, so that it belongs to its giver and the thread frees nothing.
 *
 * Each line is one write(2) with O_APPEND. After a write that failed, or was cut short by a full disk, the file is cut
 * back to its last whole line; the thread then only waits for its end, and answers markers. */
#include "core/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/format.h"
#include "core/futex.h"
#include "core/json.h"

#define LINE_BYTES 1024      /* more than a sample: 16 keys and numbers */
#define BEGINNING_BYTES 96   /* more than {"time":...,"pid":..., and what pmt_put_* need beyond */
#define PSS_SHARE 100        /* readings of PSS take at most 1/100 of the time */
#define WHOLE_NS 1000000000  /* how often it is looked whether what should be as it was is so */

enum { ORDER_RUN, ORDER_PARK, ORDER_END };

int pmt_sampler_new(pmt_sampler **out, const char *path, unsigned flags, int64_t interval_ns, int64_t pss_ns)
{
    *out = NULL;
    pmt_sampler *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    s->interval_ns = interval_ns;
    s->pss_ns = pss_ns;
    s->unshare = true;
    s->pid = (long)getpid();
    int rc = pmt_output_init(&s->output, path, flags | PMT_OPEN_APPEND);
    rc = rc < 0 ? rc : pmt_background_init(&s->back, &s->arena);
    if (rc < 0) {
        pmt_sampler_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void pmt_sampler_free(pmt_sampler *s)
{
    if (s == NULL) {
        return;
    }
    if (s->output.made && !s->begun) {
        unlink(s->output.path);
    }
    pmt_background_free(&s->back);
    pmt_output_close(&s->output); /* a device or pipe, kept open for a fork */
    pmt_output_free(&s->output);
    free(s);
}

void pmt_sampler_forget(pmt_sampler *s)
{
    s->back.running = false; /* its thread is the parent's, */
    s->output.made = false;  /* and so is the file */
    s->output.fd.fd = s->output.special ? s->output.fd.fd : -1; /* a number of that thread's own table */
    pmt_sampler_free(s);
}

int pmt_sampler_error(const pmt_sampler *s)
{
    /* acquire, pairs with the release in fail: the file is whole up to its last line. */
    return atomic_load_explicit(&s->error, memory_order_acquire);
}

/* ---- lines ---- */

static void fail(pmt_sampler *s, int rc) /* the thread's */
{
    if (pmt_sampler_error(s) == 0) {
        atomic_store_explicit(&s->error, rc, memory_order_release);
    }
}

static char *put_key(char *p, const char *key) /* with its quotes, comma and colon */
{
    size_t n = strlen(key);
    memcpy(p, key, n);
    return p + n;
}

static char *put_number(char *p, const char *key, int64_t value)
{
    return value == PMT_USAGE_UNKNOWN ? p : pmt_put_u64(put_key(p, key), (uint64_t)(value < 0 ? 0 : value));
}

/* Time never falls within a file: a marker may have been given before the sample that was written first. */
static char *put_beginning(pmt_sampler *s, char *p, int64_t ns)
{
    int64_t us = (ns - s->process_start_ns) / 1000, last = atomic_load_explicit(&s->seen.last_us, memory_order_relaxed);
    us = us > last ? us : last;
    atomic_store_explicit(&s->seen.last_us, us, memory_order_relaxed);
    p = pmt_put_seconds(put_key(p, "{\"time\":"), us, 0);
    return put_number(p, ",\"pid\":", s->pid);
}

static void append(pmt_sampler *s, const char *line, size_t n)
{
    int64_t whole = s->output.size;
    int rc = pmt_sampler_error(s);
    rc = rc < 0 || !(s->files.high || s->look) ? rc : pmt_output_check(&s->output);
    s->look = false;
    if (rc == 0) {
        rc = pmt_output_write(&s->output, line, n);
        if (rc < 0 && s->output.size > whole) {
            pmt_output_cut(&s->output, whole);
        }
    }
    if (rc < 0) {
        fail(s, rc);
    }
}

static void note(pmt_samples *seen, const pmt_usage *u, uint64_t missed)
{
    uint64_t ticks = atomic_load_explicit(&seen->ticks, memory_order_relaxed);
    if (ticks == 0) {
        atomic_store_explicit(&seen->rss_first, u->rss, memory_order_relaxed);
    }
    atomic_store_explicit(&seen->rss_last, u->rss, memory_order_relaxed);
    atomic_store_explicit(&seen->peak, u->peak_rss, memory_order_relaxed);
    atomic_store_explicit(&seen->ticks, ticks + 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&seen->missed, missed, memory_order_relaxed);
}

static void read_shares(pmt_sampler *s, pmt_usage *u, int64_t due)
{
    int64_t begin = pmt_clock_monotonic_ns();
    pmt_usage_shares(&s->files, u);
    int64_t least = (pmt_clock_monotonic_ns() - begin) * PSS_SHARE;
    s->pss_due_ns = due + (least > s->pss_ns ? least : s->pss_ns);
}

static void sample(pmt_sampler *s, int64_t now)
{
    char line[LINE_BYTES];
    pmt_usage u;
    uint64_t tick = s->begun ? (uint64_t)((now - s->base_ns) / s->interval_ns) : 0; /* the first, however late */
    uint64_t missed = tick > s->last_tick + 1 ? tick - s->last_tick - 1 : 0;
    int64_t due = s->base_ns + (int64_t)tick * s->interval_ns;
    s->last_tick = tick;
    int rc = pmt_sampler_error(s);
    s->look = now >= s->whole_due_ns;
    rc = rc < 0 ? rc : pmt_usage_read(&s->files, &u, s->look);
    if (rc < 0) {
        fail(s, rc);
        return;
    }
    s->whole_due_ns = s->look ? now + WHOLE_NS : s->whole_due_ns;
    s->peak_seen = u.peak_rss = u.peak_rss > s->peak_seen ? u.peak_rss : s->peak_seen;
    if (s->pss_ns > 0 && due >= s->pss_due_ns) {
        read_shares(s, &u, due);
    }
    char *p = put_beginning(s, line, now);
    p = put_number(p, ",\"rss\":", u.rss);
    p = put_number(p, ",\"peak_rss\":", u.peak_rss);
    p = put_number(p, ",\"anon\":", u.anon);
    p = put_number(p, ",\"file\":", u.file);
    p = put_number(p, ",\"shmem\":", u.shmem);
    p = put_number(p, ",\"vms\":", u.vms);
    p = put_number(p, ",\"pss\":", u.pss);
    p = put_number(p, ",\"uss\":", u.uss);
    p = put_number(p, ",\"minor_faults\":", u.minor_faults);
    p = put_number(p, ",\"major_faults\":", u.major_faults);
    p = pmt_put_seconds(put_key(p, ",\"user\":"), u.user_us, 0);
    p = pmt_put_seconds(put_key(p, ",\"system\":"), u.system_us, 0);
    p = put_number(p, ",\"threads\":", u.threads);
    p = missed == 0 ? p : put_number(p, ",\"missed\":", (int64_t)missed);
    p = put_key(p, "}\n");
    append(s, line, (size_t)(p - line));
    if (pmt_sampler_error(s) == 0) {
        note(&s->seen, &u, missed);
    }
}

/* ---- markers ---- */

int pmt_marker_make(pmt_marker *m, const char *text, size_t n)
{
    static const char key[] = ",\"marker\":\"";
    memset(m, 0, sizeof *m);
    m->line = malloc(BEGINNING_BYTES + sizeof key + n * PMT_JSON_GROWTH + 8);
    if (m->line == NULL) {
        return -ENOMEM;
    }
    char *p = put_key(m->line + BEGINNING_BYTES, key);
    p = put_key(pmt_json_put(p, text, n), "\"}\n");
    m->len = (size_t)(p - m->line - BEGINNING_BYTES);
    m->ns = pmt_clock_monotonic_ns();
    return 0;
}

static void ring(pmt_sampler *s)
{
    atomic_fetch_add(&s->bell, 1);
    pmt_futex_wake(&s->bell);
}

void pmt_marker_give(pmt_marker *m, pmt_sampler *s)
{
    pmt_marker *first = atomic_load_explicit(&s->markers, memory_order_relaxed);
    do {
        m->next = first;
        /* release, pairs with the acquire in take: the marker is whole. */
    } while (!atomic_compare_exchange_weak_explicit(&s->markers, &first, m, memory_order_release, memory_order_relaxed));
    ring(s);
}

void pmt_marker_wait(pmt_marker *m)
{
    while (atomic_load(&m->done) == 0) {
        pmt_futex_wait(&m->done, 0, 200000000);
    }
    free(m->line);
    m->line = NULL;
}

static void write_marker(pmt_sampler *s, pmt_marker *m)
{
    char beginning[BEGINNING_BYTES];
    size_t n = (size_t)(put_beginning(s, beginning, m->ns) - beginning);
    char *line = m->line + BEGINNING_BYTES - n;
    memcpy(line, beginning, n);
    append(s, line, n + m->len);
    atomic_store(&m->done, 1); /* from here on m may be gone */
    pmt_futex_wake(&m->done);  /* of an address only: nothing is read there */
}

static void take_markers(pmt_sampler *s)
{
    pmt_marker *m = atomic_exchange_explicit(&s->markers, NULL, memory_order_acquire), *first = NULL;
    while (m != NULL) { /* the last one given stands first */
        pmt_marker *next = m->next;
        m->next = first;
        first = m;
        m = next;
    }
    while (first != NULL) {
        pmt_marker *next = first->next;
        write_marker(s, first);
        first = next;
    }
}

/* ---- the thread ---- */

static int open_files(pmt_sampler *s)
{
    pmt_output *o = &s->output;
    bool own = s->unshare && pmt_background_table(o->special ? o->fd.fd : -1);
    int rc = o->special ? 0 : pmt_background_output(o, own, -1);
    if (rc == 0 && (rc = pmt_usage_open(&s->files, !own)) < 0 && !o->special) {
        pmt_output_close(o);
    }
    return rc;
}

static void close_files(pmt_sampler *s)
{
    pmt_usage_close(&s->files);
    if (!s->output.special) { /* that one is the program's table's, and may be needed again */
        pmt_output_close(&s->output);
    }
}

static void begin(pmt_sampler *s)
{
    append(s, s->header, s->header_len);
    s->pss_due_ns = s->base_ns;
    sample(s, pmt_clock_monotonic_ns());
    s->begun = pmt_sampler_error(s) == 0;
}

static void work(pmt_sampler *s)
{
    uint32_t order;
    do {
        uint32_t bell = atomic_load(&s->bell); /* before all that a ring may be about */
        order = atomic_load(&s->order);
        take_markers(s);
        int64_t now = pmt_clock_monotonic_ns(), due = s->base_ns + (int64_t)(s->last_tick + 1) * s->interval_ns;
        due = pmt_sampler_error(s) == 0 ? due : INT64_MAX;
        if (now >= due || order == ORDER_END) {
            sample(s, now);
        }
        else if (order == ORDER_RUN) {
            pmt_futex_wait_until(&s->bell, bell, due);
        }
    } while (order == ORDER_RUN);
}

static void *run(void *arg)
{
    pmt_sampler *s = arg;
    int rc = open_files(s);
    if (rc == 0 && !s->begun) {
        begin(s);
        rc = pmt_sampler_error(s);
        if (rc < 0) {
            close_files(s);
        }
    }
    pmt_background_up(&s->back, rc);
    if (rc == 0) {
        work(s);
        close_files(s);
    }
    return NULL;
}

/* ---- what others ask of it ---- */

int pmt_sampler_create(pmt_sampler *s)
{
    return pmt_output_create(&s->output);
}

void pmt_sampler_begin(pmt_sampler *s)
{
    s->base_ns = pmt_clock_monotonic_ns();
    s->process_start_ns = pmt_clock_process_start_ns();
}

int pmt_sampler_start(pmt_sampler *s, const char *header, size_t n)
{
    int saved = errno, rc = 0;
    s->header = header;
    s->header_len = n;
    atomic_store(&s->order, ORDER_RUN);
    if (s->output.special && !pmt_fd_ours(&s->output.fd)) {
        rc = s->output.created ? -EBADF : pmt_output_open(&s->output, true);
    }
    rc = rc < 0 ? rc : pmt_background_start(&s->back, run, s);
    if (rc < 0 && s->begun) {
        fail(s, rc);
    }
    errno = saved;
    return rc;
}

static void leave(pmt_sampler *s, uint32_t order, bool gone)
{
    if (s->back.running) {
        int saved = errno;
        atomic_store(&s->order, order);
        ring(s);
        errno = saved;
        pmt_background_join(&s->back, gone);
    }
}

void pmt_sampler_park(pmt_sampler *s, bool last)
{
    leave(s, last ? ORDER_END : ORDER_PARK, true);
}

void pmt_sampler_stop(pmt_sampler *s)
{
    if (!s->back.running && s->begun && !s->ended && pmt_sampler_error(s) == 0) { /* parked: it has to come back for the end */
        (void)pmt_sampler_start(s, NULL, 0);
    }
    leave(s, ORDER_END, false);
    s->ended = true;
}
