#include "finish.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/format.h"
#include "member.h"
#ifndef PMT_VERSION
#error "the build passes PMT_VERSION"
#endif

static const char *const log_names[] = {"none", "all", "threshold", "previous"};
static const char *const compute_names[] = {"nothing", "rss", "all"};

static void put_shown(FILE *f, const char *text, size_t n) /* one line, whatever it holds */
{
    char out[64 * PMT_ESCAPE_GROWTH];
    while (n > 0) {
        size_t used, part = n < 64 ? n : 64;
        size_t len = pmt_escape(out, text, part, false, &used);
        fwrite(out, 1, len, f);
        text += used;
        n -= used;
    }
}

ssize_t pmt_command_line(char *out, size_t room)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room);
    if (fd >= 0) {
        close(fd);
    }
    return n;
}

static void put_command(FILE *f)
{
    char buffer[PMT_COMMAND_BYTES];
    ssize_t n = pmt_command_line(buffer, sizeof buffer);
    fputs("# command:", f);
    for (ssize_t i = 0; i < n;) {
        size_t len = strnlen(buffer + i, (size_t)(n - i));
        fputc(' ', f);
        put_shown(f, buffer + i, len);
        i += (ssize_t)len + 1;
    }
    fputs(n == (ssize_t)sizeof buffer ? " ...\n" : "\n", f);
}

void pmt_put_moment(FILE *f)
{
    struct timespec now;
    struct tm local;
    char text[64], zone[16];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local);
    strftime(zone, sizeof zone, "%z", &local);
    fprintf(f, "%s.%06ld%.3s:%s", text, now.tv_nsec / 1000, zone, zone + 3);
}

static void put_header(FILE *f, const pmt_recorder *r, const char *engine_why)
{
    char host[256] = "?";
    const pmt_options *o = &r->options;
    gethostname(host, sizeof host - 1);
    fprintf(f, "# pymemtrace: %s\n", PMT_VERSION);
    put_command(f);
    fprintf(f, "# python: %.*s\n", (int)strcspn(Py_GetVersion(), " "), Py_GetVersion());
    fprintf(f, "# pid: %ld\n# parent: %ld\n# host: ", (long)getpid(), (long)getppid());
    put_shown(f, host, strlen(host));
    fputc('\n', f);
    fputs("# start: ", f);
    pmt_put_moment(f);
    fputc('\n', f);
    fprintf(f, "# log: %s\n# threshold: %llu\n# page size: %lld\n", log_names[o->log], (unsigned long long)o->threshold,
            (long long)r->rss.page);
    fprintf(f, "# engine: %s (%s)\n# clock: %s\n", o->engine, engine_why, pmt_clock_name(&r->clock));
    if (r->gate.off_why == NULL) {
        fprintf(f, "# gate: %llu cycles\n", (unsigned long long)r->gate.first);
    }
    else {
        fprintf(f, "# gate: off, every event is read: %s\n", r->gate.off_why);
    }
    fprintf(f, "# staleness: %llu cycles\n", (unsigned long long)r->gate.stale);
    fprintf(f, "# granularity: %lld\n# peak granularity: %lld\n", (long long)r->granularity,
            (long long)r->peak_granularity);
    if (o->keep > 0) {
        fprintf(f, "# keep: %lld\n", (long long)o->keep);
    }
    if (r->ring_ours) {
        fputs("# ring: file\n", f);
    }
    else {
        const char *why = r->ring_error == 0 ? "the output is no regular file" : strerror(-r->ring_error);
        fprintf(f, "# ring: anonymous, a kill loses what is not yet written: %s\n", why);
    }
    fprintf(f, "# peak before: %lld\n", (long long)pmt_rss_peak((pmt_rss *)&r->rss));
}

char *pmt_header_text(const pmt_recorder *r, const char *message, size_t message_len, const char *engine_why, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    if (f == NULL) {
        return NULL;
    }
    if (message_len > 0) {
        fwrite(message, 1, message_len, f);
        if (message[message_len - 1] != '\n') {
            fputc('\n', f);
        }
    }
    if (r->options.comments || r->options.binary) {
        put_header(f, r, engine_why);
    }
    pmt_put_columns(f, r->options.log == PMT_LOG_PREVIOUS);
    return fclose(f) == 0 ? text : NULL;
}

static int64_t peak_of(const pmt_recorder *r)
{
    return r->events == 0 ? 0 : r->peak_max > r->rss_max ? r->peak_max : r->rss_max;
}

static uint64_t skipped(const pmt_recorder *r)
{
    return r->options.compute == PMT_COMPUTE_NOTHING || r->events < r->gate.readings ? 0 : r->events - r->gate.readings;
}

static double duration(const pmt_recorder *r)
{
    return (double)(r->last_pair.ns - r->begun_ns) / 1e9;
}

static void put_not_recorded(FILE *f, unsigned pid, unsigned parent, const char *path, const char *reason)
{
    fprintf(f, "# not recorded: %u (parent %u): ", pid, parent);
    if (path[0] != '\0') {
        put_shown(f, path, strlen(path));
        fputs(": ", f);
    }
    put_shown(f, reason, strlen(reason));
    fputc('\n', f);
}

static void put_family(FILE *f) /* what only the first process of a run can say */
{
    pmt_member m;
    uint32_t unnoted = pmt_family_unnoted(&pmt_our_family);
    char *lines = pmt_family_lines(&pmt_our_family), *line = lines, *reason;
    for (uint32_t at = 0; pmt_family_next(&pmt_our_family, &at, &m);) {
        if (m.state == PMT_MEMBER_REFUSED) {
            put_not_recorded(f, m.pid, m.parent, m.path, m.reason);
        }
        else if (m.state == PMT_MEMBER_BEGINNING && !pmt_family_alive(&m)) {
            put_not_recorded(f, m.pid, m.parent, m.path, "it ended before its recording began");
        }
    }
    for (unsigned pid, parent; pmt_family_next_line(&line, &pid, &parent, &reason);) {
        put_not_recorded(f, pid, parent, "", reason);
    }
    if (unnoted > 0) {
        fprintf(f, "# not noted: %u further processes\n", (unsigned)unnoted);
    }
    free(lines);
}

static void put_unseen(FILE *f, const pmt_unseen *u, const pmt_recorder *r)
{
    if (u->threads > 0) {
        fprintf(f, "# threads that could not be seen: %llu\n", (unsigned long long)u->threads);
    }
    if (u->replaced > 0) {
        fprintf(f, "# threads whose profile function the program had replaced or removed: %d\n", u->replaced);
    }
    if (r->passed_through > 0) {
        fprintf(f, "# recordings of other threads that passed through: %llu\n", (unsigned long long)r->passed_through);
    }
}

char *pmt_footer_text(const pmt_recorder *r, const char *reason, const pmt_unseen *unseen, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    if (f == NULL) {
        return NULL;
    }
    if (r->options.comments || r->options.binary) {
        if (unseen != NULL) {
            put_unseen(f, unseen, r);
        }
        if (r->outer == NULL && pmt_family_root(&pmt_our_family)) {
            put_family(f);
        }
        char seconds[PMT_NUMBER_ROOM]; /* printf would use the program's locale */
        *pmt_put_seconds(seconds, (r->last_pair.ns - r->begun_ns) / 1000, 0) = '\0';
        fprintf(f, "# events: %llu\n# logged: %llu\n# seconds: %s\n", (unsigned long long)r->events,
                (unsigned long long)r->rows, seconds);
        fprintf(f, "# RSS first: %lld\n# RSS peak: %lld\n# RSS last: %lld\n", (long long)r->rss_first,
                (long long)peak_of(r), (long long)(r->events == 0 ? 0 : r->rss_now));
        fprintf(f, "# readings: %llu\n# skipped: %llu\n", (unsigned long long)r->gate.readings,
                (unsigned long long)skipped(r));
        fprintf(f, "# audit: %llu tried, %llu differed\n", (unsigned long long)r->gate.audit_tried,
                (unsigned long long)r->gate.audit_differed);
        fprintf(f, "# gate first: %llu\n# gate last: %llu\n", (unsigned long long)r->gate.first,
                (unsigned long long)atomic_load(&r->gate.threshold));
        fprintf(f, "# waits: %llu\n# tracer: %lld\n", (unsigned long long)r->ring.waits, (long long)r->arena.mapped);
        fprintf(f, "# seen after a change of thread: %lld\n", (long long)r->foreign);
        fprintf(f, reason == NULL ? "# end\n" : "# end %s\n", reason);
    }
    return fclose(f) == 0 ? text : NULL;
}

static int put_item(PyObject *dict, const char *key, PyObject *value) /* takes value over */
{
    int rc = value == NULL ? -1 : PyDict_SetItemString(dict, key, value);
    Py_XDECREF(value);
    return rc;
}

static PyObject *str_or_none(const char *text)
{
    if (text == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeFSDefault(text);
}

PyObject *pmt_stats(pmt_recorder *r)
{
    const pmt_options *o = &r->options;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"events", (int64_t)r->events},
        {"logged", (int64_t)r->rows},
        {"threshold", (int64_t)o->threshold},
        {"rss_first", r->rss_first},
        {"rss_last", r->events == 0 ? 0 : r->rss_now},
        {"rss_peak", peak_of(r)},
        {"peak_base", r->peak_before},
        {"readings", (int64_t)r->gate.readings},
        {"skipped", (int64_t)skipped(r)},
        {"audit_tried", (int64_t)r->gate.audit_tried},
        {"audit_differed", (int64_t)r->gate.audit_differed},
        {"gate_first", (int64_t)r->gate.first},
        {"gate_last", (int64_t)atomic_load(&r->gate.threshold)},
        {"stale", (int64_t)r->gate.stale},
        {"waits", (int64_t)r->ring.waits},
        {"tracer_bytes", r->arena.mapped},
        {"tracer_growth", r->tracer_growth},
        {"suspended_growth", r->suspended_growth},
        {"passed_through", (int64_t)r->passed_through},
        {"foreign", r->foreign},
        {"sites", (int64_t)r->sites.used},
        {"granularity", r->granularity},
        {"peak_granularity", r->peak_granularity},
    };
    PyObject *d = PyDict_New();
    if (d == NULL || put_item(d, "path", str_or_none(o->has_file ? r->output.path : NULL)) < 0 ||
        put_item(d, "format", PyUnicode_FromString(o->binary ? "binary" : "text")) < 0 ||
        put_item(d, "log", PyUnicode_FromString(log_names[o->log])) < 0 ||
        put_item(d, "compute", PyUnicode_FromString(compute_names[o->compute])) < 0 ||
        put_item(d, "engine", PyUnicode_FromString(o->engine)) < 0 ||
        put_item(d, "gate_off", str_or_none(r->gate.off_why)) < 0 ||
        put_item(d, "seconds", PyFloat_FromDouble(duration(r))) < 0 ||
        put_item(d, "error", r->error == 0 ? str_or_none(NULL)
                                           : PyUnicode_FromFormat("%s: %s", r->error_where, pmt_error_text(r->error))) < 0) {
        Py_XDECREF(d);
        return NULL;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (put_item(d, numbers[i].key, PyLong_FromLongLong(numbers[i].value)) < 0) {
            Py_DECREF(d);
            return NULL;
        }
    }
    return d;
}

static int larger_first(const void *a, const void *b)
{
    int64_t x = ((const pmt_grown *)a)->net, y = ((const pmt_grown *)b)->net;
    return x < y ? 1 : x > y ? -1 : 0;
}

static PyObject *name_object(const pmt_recorder *r, uint32_t id, const char *unknown)
{
    const pmt_name *name = pmt_names_at(&r->sites.names, id);
    if (name == NULL) {
        return PyUnicode_FromString(unknown);
    }
    PyObject *s = PyUnicode_DecodeUTF8(name->bytes, (Py_ssize_t)name->len, "surrogatepass");
    if (s == NULL) { /* a C function's name that is no UTF-8 */
        PyErr_Clear();
        s = PyUnicode_DecodeUTF8(name->bytes, (Py_ssize_t)name->len, "backslashreplace");
    }
    return s;
}

PyObject *pmt_growth_list(const pmt_recorder *r)
{
    uint32_t n = 0;
    PyObject *list = NULL;
    pmt_grown *all = malloc(((size_t)r->growth.used + 1) * sizeof *all);
    if (all == NULL) {
        return PyErr_NoMemory();
    }
    for (uint32_t i = 0; i <= r->growth.mask; i++) {
        if (r->growth.slots[i].times != 0) {
            all[n++] = r->growth.slots[i];
        }
    }
    if (r->growth.others.times != 0) {
        all[n] = r->growth.others;
        all[n++].line = -1; /* told from the interpreter's own, which has no name either */
    }
    qsort(all, n, sizeof *all, larger_first);
    list = PyList_New((Py_ssize_t)n);
    for (uint32_t i = 0; list != NULL && i < n; i++) {
        bool outside = all[i].file == PMT_NAME_NONE;
        PyObject *file = name_object(r, all[i].file, outside ? "" : "<?>");
        PyObject *name = name_object(r, all[i].name, all[i].line < 0 ? "<other functions>" : "<interpreter>");
        PyObject *item = file == NULL || name == NULL ? NULL
                                                      : Py_BuildValue("(OiOLI)", file, (int)all[i].line, name,
                                                                      (long long)all[i].net, (unsigned)all[i].times);
        Py_XDECREF(file);
        Py_XDECREF(name);
        if (item == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    free(all);
    return list;
}
