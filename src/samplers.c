/* DESIGN: all running samplers of the process hang on one list. Around a fork their threads are ended: from 3.12 on CPython
 * warns when it forks a process with a second thread. It looks after the hooks of os.register_at_fork, so the threads come
 * back by Py_AddPendingCall, which the main thread makes as soon as it evaluates again; in a hook of the program's that is too
 * early, and the call is put off. Where the process has further threads, or another one than the main thread forks, CPython
 * warns in any case, and they come back at once: the main thread may be asleep for long.
 *
 * In a forked child the list is emptied by pthread_atfork, and its samplers are the parent's: their owners, who see that by
 * pmt_samplers_ours, give back the memory and nothing else. */
#include "samplers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/format.h"
#include "core/json.h"
#include "errors.h"
#include "finish.h"

static pmt_sampler *running;   /* the last one started first */
static bool away;              /* their threads were ended, and something is to bring them back */
static PyFrameObject *forking; /* owned: it called what forked, whose hooks may not be over yet; NULL: none */
static int forking_at;         /* its offset then */

bool pmt_samplers_ours(const pmt_sampler *s)
{
    return s->pid == (long)getpid();
}

/* ---- the header ---- */

static void put_string(FILE *f, const char *text, size_t n) /* nothing where there is no memory: the file closes with an error */
{
    char *out = malloc(n * PMT_JSON_GROWTH + 1);
    if (out != NULL) {
        fputc('"', f);
        fwrite(out, 1, (size_t)(pmt_json_put(out, text, n) - out), f);
        fputc('"', f);
    }
    free(out);
}

static void put_command(FILE *f)
{
    char words[PMT_COMMAND_BYTES];
    ssize_t n = pmt_command_line(words, sizeof words);
    fputc('[', f);
    for (ssize_t i = 0; i < n;) {
        size_t len = strnlen(words + i, (size_t)(n - i));
        fputs(i == 0 ? "" : ",", f);
        put_string(f, words + i, len);
        i += (ssize_t)len + 1;
    }
    fputs(n == (ssize_t)sizeof words ? ",\"...\"]" : "]", f);
}

static void put_seconds(FILE *f, const char *key, int64_t ns)
{
    char text[PMT_NUMBER_ROOM]; /* printf would use the program's locale */
    *pmt_put_seconds(text, ns / 1000, 0) = '\0';
    fprintf(f, ",\"%s\":%s", key, text);
}

static char *header_text(const pmt_sampler *s, size_t *n) /* malloc'ed; NULL: no memory */
{
    char *text = NULL, host[256] = "?";
    FILE *f = open_memstream(&text, n);
    if (f == NULL) {
        return NULL;
    }
    gethostname(host, sizeof host - 1);
    fputs("{\"pymemtrace\":\"" PMT_VERSION "\",\"format\":\"samples\",\"version\":1,\"scope\":\"self\",\"command\":", f);
    put_command(f);
    fprintf(f, ",\"python\":\"%.*s\",\"pid\":%ld,\"parent\":%ld,\"host\":", (int)strcspn(Py_GetVersion(), " "),
            Py_GetVersion(), s->pid, (long)getppid());
    put_string(f, host, strlen(host));
    fputs(",\"start\":\"", f);
    pmt_put_moment(f);
    fputc('"', f);
    put_seconds(f, "time", s->base_ns - s->process_start_ns);
    put_seconds(f, "interval", s->interval_ns);
    put_seconds(f, "pss_interval", s->pss_ns);
    fprintf(f, ",\"page_size\":%ld}\n", sysconf(_SC_PAGESIZE));
    if (fclose(f) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* ---- one ---- */

int pmt_samplers_open(pmt_sampler **out, const char *path, unsigned flags, int64_t interval_ns, int64_t pss_ns)
{
    const char *unshare = getenv("PYMEMTRACE_UNSHARE");
    int rc = pmt_sampler_new(out, path, flags, interval_ns, pss_ns);
    if (rc == 0) {
        (*out)->unshare = unshare == NULL || strcmp(unshare, "off") != 0;
        rc = pmt_sampler_create(*out);
    }
    if (rc < 0) {
        pmt_sampler_free(*out);
        *out = NULL;
    }
    return rc;
}

int pmt_samplers_start(pmt_sampler *s)
{
    size_t n = 0;
    int rc = -ENOMEM;
    pmt_sampler_begin(s);
    char *header = header_text(s, &n);
    if (header != NULL && s->output.special) {
        Py_BEGIN_ALLOW_THREADS /* opening a FIFO waits for its reader, who may be a thread of this process */
        rc = pmt_sampler_start(s, header, n);
        Py_END_ALLOW_THREADS
    }
    else if (header != NULL) {
        rc = pmt_sampler_start(s, header, n);
    }
    free(header);
    if (rc == 0) {
        s->next = running;
        running = s;
    }
    return rc;
}

void pmt_samplers_stop(pmt_sampler *s)
{
    for (pmt_sampler **at = &running; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    if (running == NULL) {
        Py_CLEAR(forking);
    }
    if (pmt_samplers_ours(s) && s->output.special) { /* a pipe may be read by a thread of this process */
        Py_BEGIN_ALLOW_THREADS
        pmt_sampler_stop(s);
        Py_END_ALLOW_THREADS
    }
    else if (pmt_samplers_ours(s)) {
        pmt_sampler_stop(s);
    }
}

void pmt_samplers_free(pmt_sampler *s)
{
    if (s != NULL && !pmt_samplers_ours(s)) {
        pmt_sampler_forget(s);
    }
    else {
        pmt_sampler_free(s);
    }
}

PyObject *pmt_samples_dict(const pmt_sampler *s)
{
    const pmt_samples *seen = &s->seen;
    int rc = pmt_sampler_error(s);
    int64_t us = atomic_load_explicit(&seen->last_us, memory_order_relaxed) - (s->base_ns - s->process_start_ns) / 1000;
    PyObject *path = PyUnicode_DecodeFSDefault(s->output.path);
    PyObject *error = rc < 0 ? pmt_os_error(rc, s->output.path) : pmt_ref(Py_None);
    PyObject *dict = NULL;
    if (path != NULL && error != NULL) {
        dict = Py_BuildValue("{s:O,s:d,s:d,s:K,s:K,s:L,s:L,s:L,s:O}", "path", path, "interval", (double)s->interval_ns / 1e9,
                             "seconds", us > 0 ? (double)us / 1e6 : 0.0, "ticks",
                             (unsigned long long)atomic_load_explicit(&seen->ticks, memory_order_relaxed), "missed",
                             (unsigned long long)atomic_load_explicit(&seen->missed, memory_order_relaxed), "rss_first",
                             (long long)atomic_load_explicit(&seen->rss_first, memory_order_relaxed), "rss_peak",
                             (long long)atomic_load_explicit(&seen->peak, memory_order_relaxed), "rss_last",
                             (long long)atomic_load_explicit(&seen->rss_last, memory_order_relaxed), "error", error);
    }
    Py_XDECREF(path);
    Py_XDECREF(error);
    return dict;
}

char *pmt_samples_path(const char *log)
{
    size_t n = strlen(log);
    char *path = malloc(n + sizeof ".rss");
    if (path != NULL) {
        const char *slash = strrchr(log, '/'), *name = slash == NULL ? log : slash + 1;
        bool known = n > 4 && log + n - 4 > name && (strcmp(log + n - 4, ".log") == 0 || strcmp(log + n - 4, ".pmt") == 0);
        memcpy(path, log, n);
        memcpy(path + (known ? n - 4 : n), ".rss", sizeof ".rss");
    }
    return path;
}

/* ---- all of them ---- */

void pmt_samplers_resume(void)
{
    away = false;
    for (pmt_sampler *s = running; s != NULL; s = s->next) {
        if (!s->back.running && pmt_sampler_error(s) == 0) {
            (void)pmt_sampler_start(s, NULL, 0); /* it keeps its error */
        }
    }
}

static bool in_hooks(void) /* Python runs that the fork itself has called */
{
    PyFrameObject *f = PyEval_GetFrame();
    if (forking == NULL || f == forking || pmt_frame_offset(forking) != forking_at) {
        return false;
    }
    Py_XINCREF(f);
    while (f != NULL && f != forking) {
        PyFrameObject *back = PyFrame_GetBack(f);
        Py_DECREF(f);
        f = back;
    }
    bool found = f != NULL;
    Py_XDECREF(f);
    return found;
}

static int resume_pending(void *Py_UNUSED(none))
{
    if (!in_hooks() || Py_AddPendingCall(resume_pending, NULL) < 0) {
        pmt_samplers_resume();
        Py_CLEAR(forking);
    }
    return 0;
}

static void resume_soon(void)
{
    if (running != NULL && Py_AddPendingCall(resume_pending, NULL) < 0) { /* its queue is full */
        pmt_samplers_resume();
    }
}

static void park(bool last)
{
    away = running != NULL;
    for (pmt_sampler *s = running; s != NULL; s = s->next) {
        pmt_sampler_park(s, last);
    }
}

void pmt_samplers_pause(bool last)
{
    park(last);
    resume_soon();
}

void pmt_samplers_before_fork(void)
{
    park(false);
}

void pmt_samplers_after_fork(void)
{
    if (PMT_WARNS_AT_FORK && running != NULL && pmt_usage_threads() == 1) {
        PyFrameObject *f = PyEval_GetFrame();
        Py_XINCREF(f);
        Py_XSETREF(forking, f);
        forking_at = f == NULL ? 0 : pmt_frame_offset(f);
        resume_soon();
    }
    else {
        pmt_samplers_resume();
    }
}

void pmt_samplers_forked(void)
{
    for (pmt_sampler *s = running; s != NULL; s = s->next) {
        s->back.running = false; /* a thread of the parent's */
        s->pid = 0;              /* of no process here, whatever its number */
    }
    running = NULL;
    away = false;
}

/* ---- markers ---- */

const char pmt_write_marker_doc[] = "write_marker(text): a named mark in the file of every running sampler, now.\n\n"
                                    "Returns whether there is one.";

PyObject *pmt_write_marker(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        return PyErr_Format(PyExc_TypeError, "a marker must be str, not %.100s", Py_TYPE(text)->tp_name);
    }
    size_t n = 0, given = 0;
    bool for_this = away; /* in a hook of a fork: the threads come for the marker only */
    pmt_samplers_resume();
    away = for_this;
    for (const pmt_sampler *s = running; s != NULL; s = s->next) {
        n++;
    }
    if (n == 0) {
        Py_RETURN_FALSE;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    pmt_marker *markers = bytes == NULL ? NULL : calloc(n, sizeof *markers);
    int rc = markers == NULL ? -ENOMEM : 0;
    for (pmt_sampler *s = rc < 0 ? NULL : running; s != NULL && rc == 0; s = s->next) {
        if (s->back.running) {
            rc = pmt_marker_make(&markers[given], PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
            if (rc == 0) {
                pmt_marker_give(&markers[given++], s);
            }
        }
    }
    Py_BEGIN_ALLOW_THREADS /* the disk may be slow; a pipe may be read by a thread of this process */
    for (size_t i = 0; i < given; i++) {
        pmt_marker_wait(&markers[i]);
    }
    Py_END_ALLOW_THREADS
    if (away) { /* still: the fork may have gone on meanwhile */
        park(false);
    }
    free(markers);
    if (rc < 0 && bytes != NULL) {
        PyErr_NoMemory();
    }
    Py_XDECREF(bytes);
    return rc < 0 ? NULL : PyBool_FromLong(given > 0);
}
