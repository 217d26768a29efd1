/* DESIGN: a Tracer owns its recorder while it runs; pmt_active is the innermost recorder and hangs the outer ones on
 * itself. A running Tracer holds a reference to itself, so that a recording whose object was dropped goes on to the end
 * of the process. In a forked child the recorder is only forgotten. */
#include "tracer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "errors.h"
#include "finish.h"
#include "fork.h"
#include "process.h"
#include "threads.h"

static const pmt_engine *const engine = &pmt_profile_engine;

pmt_tracer *pmt_tracer_active(void)
{
    return pmt_active == NULL ? NULL : pmt_active->owner;
}

bool pmt_tracer_running(const pmt_tracer *t)
{
    return t->recorder != NULL && t->recorder->pid == (long)getpid();
}

PyObject *pmt_tracer_path(const pmt_tracer *t)
{
    const char *path = t->recorder != NULL && t->options.has_file ? t->recorder->output.path : t->absolute;
    if (path == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeFSDefault(path);
}

/* ---- arguments ---- */

static int choose(const char *what, PyObject *value, const char *const *names, int n)
{
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
    if (text == NULL && PyErr_Occurred()) {
        PyErr_Clear();
    }
    for (int i = 0; text != NULL && i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    PyObject *list = PyUnicode_FromString(names[0]);
    for (int i = 1; list != NULL && i < n; i++) {
        PyObject *longer = PyUnicode_FromFormat("%U%s%s", list, i == n - 1 ? " or " : ", ", names[i]);
        Py_DECREF(list);
        list = longer;
    }
    if (list != NULL) {
        PyErr_Format(PyExc_ValueError, "%s must be %U, not %R", what, list, value);
        Py_DECREF(list);
    }
    return -1;
}

static int threshold_of(PyObject *value, uint64_t *out)
{
    if (value == NULL || value == Py_None) {
        *out = (uint64_t)sysconf(_SC_PAGESIZE);
        return 0;
    }
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "threshold must be a number of bytes (int), not %R", value);
        return -1;
    }
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || n < -1) {
        PyErr_Format(PyExc_ValueError, "threshold must be 0 or more bytes, or -1 for one page, not %R", value);
        return -1;
    }
    *out = n == -1 ? (uint64_t)sysconf(_SC_PAGESIZE) : (uint64_t)n;
    return 0;
}

static int keep_of(PyObject *value, int64_t *out)
{
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "keep must be a number of bytes (int), not %R", value);
        return -1;
    }
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0 || n < PMT_LEAST_KEEP || n > INT64_MAX / 2) {
        PyErr_Format(PyExc_ValueError, "keep must be at least 1 MiB (1048576 bytes), not %R", value);
        return -1;
    }
    *out = n;
    return 0;
}

static int take_bytes(PyObject *value, const char *what, PyObject **out) /* str or None -> UTF-8 bytes or NULL */
{
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be str or None, not %.100s", what, Py_TYPE(value)->tp_name);
        return -1;
    }
    *out = PyUnicode_AsEncodedString(value, "utf-8", "backslashreplace");
    return *out == NULL ? -1 : 0;
}

static int tracer_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const logs[] = {"none", "all", "threshold", "previous"};
    static const char *const computes[] = {"nothing", "rss", "all"};
    static const char *const engines[] = {"auto", "profile"};
    static char *names[] = {"path",    "log",       "threshold", "compute", "engine",
                            "message", "overwrite", "comments",  "unique",  "format", "keep", NULL};
    pmt_tracer *t = (pmt_tracer *)self;
    PyObject *path = NULL, *log = NULL, *threshold = NULL, *compute = NULL, *which = NULL, *message = NULL;
    PyObject *format = NULL, *keep = NULL;
    int overwrite = 0, comments = 1, unique = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$OOOOOpppOO:Tracer", names, &path, &log, &threshold, &compute,
                                     &which, &message, &overwrite, &comments, &unique, &format, &keep)) {
        return -1;
    }
    if (t->started) {
        PyErr_SetString(PyExc_RuntimeError, "a Tracer that was started cannot be changed");
        return -1;
    }
    pmt_options o = {.log = PMT_LOG_THRESHOLD, .compute = PMT_COMPUTE_ALL, .comments = comments, .unshare = true};
    static const char *const formats[] = {"text", "binary"};
    int f = format == NULL || format == Py_None ? 0 : choose("format", format, formats, 2);
    int n = f < 0 ? -1 : log == NULL || log == Py_None ? (f == 1 ? PMT_LOG_ALL : PMT_LOG_THRESHOLD) : choose("log", log, logs, 4);
    int c = n < 0 || compute == NULL ? PMT_COMPUTE_ALL : choose("compute", compute, computes, 3);
    if (n < 0 || c < 0 || (which != NULL && choose("engine", which, engines, 2) < 0) ||
        threshold_of(threshold, &o.threshold) < 0 || keep_of(keep, &o.keep) < 0) {
        return -1;
    }
    o.log = (pmt_log)n;
    o.compute = (pmt_compute)c;
    o.binary = f == 1;
    if (o.binary && o.log != PMT_LOG_ALL) {
        PyErr_SetString(PyExc_ValueError, "a capture has every event: filter it when it is read, by `events --log`");
        return -1;
    }
    if (o.keep > 0 && !o.binary) {
        PyErr_SetString(PyExc_ValueError, "keep is for captures only: a text log cannot forget its beginning");
        return -1;
    }
    if (o.compute != PMT_COMPUTE_ALL && o.log != PMT_LOG_NONE) {
        PyErr_Format(PyExc_ValueError, "compute=\"%s\" goes with log=\"none\" only: rows need everything", computes[c]);
        return -1;
    }
    if (o.log == PMT_LOG_THRESHOLD && o.threshold == 0) {
        o.log = PMT_LOG_ALL; /* the same rows in the same layout, the shorter way */
    }
    Py_CLEAR(t->path);
    Py_CLEAR(t->message);
    if (take_bytes(message, "message", &t->message) < 0) {
        return -1;
    }
    if (path != NULL && path != Py_None && !PyUnicode_FSConverter(path, &t->path)) {
        return -1;
    }
    o.open_flags = (overwrite ? PMT_OPEN_OVERWRITE : 0) | (unique || t->path == NULL ? PMT_OPEN_UNIQUE : 0);
    o.has_file = t->path != NULL || o.log != PMT_LOG_NONE;
    t->options = o;
    return 0;
}

/* ---- start ---- */

/* Ids of thread states are given in order: one made now tells how many there were before. *made: without our own. */
static uint64_t newest_thread_id(uint64_t *made)
{
    static uint64_t ours;
    PyThreadState *probe = PyThreadState_New(PyInterpreterState_Main());
    uint64_t id = probe == NULL ? 0 : PyThreadState_GetID(probe);
    if (probe != NULL) {
        PyThreadState_Clear(probe);
        PyThreadState_Delete(probe);
        ours++;
    }
    *made = id + 1 - ours;
    return id;
}

static uint64_t untraced_threads(const pmt_recorder *r)
{
    uint64_t made;
    newest_thread_id(&made);
    made = made > r->threads_made ? made - r->threads_made : 0;
    return made > r->threads_new ? made - r->threads_new : 0;
}

static char *default_name(const char *suffix) /* YYMMDD_HHMMSS_PID.log or .pmt, local time; malloc'ed */
{
    char text[64];
    struct tm local;
    time_t now = time(NULL);
    localtime_r(&now, &local);
    size_t n = strftime(text, sizeof text, "%y%m%d_%H%M%S", &local);
    snprintf(text + n, sizeof text - n, "_%ld.%s", (long)getpid(), suffix);
    return strdup(text);
}

static char *absolute_path(const char *path) /* malloc'ed; NULL: errno set */
{
    if (path[0] == '/') {
        return strdup(path);
    }
    char cwd[PATH_MAX];
    if (getcwd(cwd, sizeof cwd) == NULL) {
        return NULL;
    }
    size_t n = strlen(cwd) + strlen(path) + 2;
    char *whole = malloc(n);
    if (whole != NULL) {
        snprintf(whole, n, "%s%s%s", cwd, strcmp(cwd, "/") == 0 ? "" : "/", path);
    }
    return whole;
}

static int resolve_path(pmt_tracer *t)
{
    char *name = t->path == NULL ? default_name(t->options.binary ? "pmt" : "log") : strdup(PyBytes_AS_STRING(t->path));
    free(t->absolute);
    t->absolute = name == NULL ? NULL : absolute_path(name);
    if (t->absolute == NULL) {
        pmt_raise(-errno, name);
        free(name);
        return -1;
    }
    free(name);
    t->options.path = t->absolute;
    return 0;
}

static int may_start(const pmt_tracer *t)
{
    if (t->started) {
        PyErr_SetString(PyExc_RuntimeError, "a Tracer can be started once");
        return -1;
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_RuntimeError, "recording works in the main interpreter only");
        return -1;
    }
    pmt_recorder *r = pmt_active;
    if (r != NULL && r->state != PMT_OFF && r->thread != PyThread_get_thread_ident()) {
        r->passed_through++;
        PyErr_Format(PyExc_RuntimeError, "another thread is recording, into %s",
                     r->options.has_file ? r->output.path : "no file");
        return -1;
    }
    return 0;
}

/* A recording of the parent that was running at a fork: not ours to end. */
static void drop_inherited(void)
{
    while (pmt_active != NULL && pmt_active->pid != (long)getpid()) {
        pmt_recorder *r = pmt_active;
        pmt_tracer *owner = r->owner;
        pmt_active = r->outer;
        owner->recorder = NULL;
        pmt_recorder_forget(r);
        Py_DECREF(owner); /* the reference of a running Tracer to itself */
    }
}

static void raise_about(int rc, const pmt_recorder *r, const char *path)
{
    if (rc == -ESPIPE && r->options.keep > 0) {
        PyErr_Format(PyExc_ValueError, "keep needs a regular file; %s is a device or a pipe", r->output.path);
        return;
    }
    if (rc != -EEXIST || path != r->ring_path) {
        pmt_raise(rc, path);
        return;
    }
    PyObject *file = PyUnicode_DecodeFSDefault(path), *log = PyUnicode_DecodeFSDefault(r->output.path);
    PyObject *said = log == NULL ? NULL
                                 : PyUnicode_FromFormat("it holds the end of a recording that was killed; "
                                                        "`python -m pymemtrace recover %U` first, or remove it",
                                                        log);
    PyObject *e = file == NULL || said == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iOO", EEXIST, said, file);
    if (e != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    }
    Py_XDECREF(file);
    Py_XDECREF(log);
    Py_XDECREF(said);
    Py_XDECREF(e);
}

static int open_recorder(pmt_tracer *t, pmt_recorder **out)
{
    pmt_recorder *r;
    size_t n = 0;
    const char *unshare = getenv("PYMEMTRACE_UNSHARE");
    t->options.gate = getenv("PYMEMTRACE_GATE");
    t->options.clock = getenv("PYMEMTRACE_CLOCK");
    t->options.unshare = unshare == NULL || strcmp(unshare, "off") != 0;
    int rc = pmt_recorder_new(&r, &t->options, pmt_thread_name_at);
    if (rc < 0) {
        pmt_raise(rc, t->absolute);
        return -1;
    }
    const char *path = t->absolute;
    rc = pmt_recorder_create(r, &path);
    if (rc < 0) {
        raise_about(rc, r, path);
        pmt_recorder_free(r);
        return -1;
    }
    char *text = NULL;
    if (t->options.has_file) {
        text = pmt_header_text(r, t->message == NULL ? "" : PyBytes_AS_STRING(t->message),
                               t->message == NULL ? 0 : (size_t)PyBytes_GET_SIZE(t->message),
                               "profile (exact on every Python from 3.9 on)", &n);
        rc = text == NULL ? -ENOMEM : 0;
    }
    if (rc == 0) {
        Py_BEGIN_ALLOW_THREADS /* opening a FIFO waits for its reader, who may be a thread of this process */
        rc = pmt_recorder_open(r, text, n);
        Py_END_ALLOW_THREADS
    }
    free(text);
    if (rc < 0) {
        if (rc == -EDEADLK) {
            PyObject *e = PyObject_CallFunction(PyExc_OSError, "isN", EDEADLK,
                                                "this process itself reads that pipe, and could not empty it for us",
                                                PyUnicode_DecodeFSDefault(t->absolute));
            if (e != NULL) {
                PyErr_SetObject(PyExc_OSError, e);
                Py_DECREF(e);
            }
        }
        else {
            pmt_raise(rc, t->absolute);
        }
        pmt_recorder_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

static void discard(pmt_recorder *r) /* a start that failed after the file was made */
{
    pmt_recorder_close(r, "", 0);
    pmt_recorder_free(r);
}

/* A recording that nobody ends ends with the interpreter. */
static PyObject *at_exit(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    drop_inherited();
    while (pmt_active != NULL) {
        pmt_tracer_stop(pmt_active->owner);
    }
    Py_RETURN_NONE;
}

static int end_with_interpreter(void)
{
    static PyMethodDef def = {"end_of_recordings", at_exit, METH_NOARGS, NULL};
    static bool done;
    if (!done) {
        PyObject *atexit = PyImport_ImportModule("atexit"), *f = PyCFunction_New(&def, NULL);
        PyObject *result = atexit == NULL || f == NULL ? NULL : PyObject_CallMethod(atexit, "register", "O", f);
        done = result != NULL;
        Py_XDECREF(result);
        Py_XDECREF(f);
        Py_XDECREF(atexit);
    }
    return done ? 0 : -1;
}

int pmt_tracer_start(pmt_tracer *t)
{
    pmt_recorder *r;
    drop_inherited();
    if (may_start(t) < 0 || pmt_fork_init() < 0 || end_with_interpreter() < 0 || (t->options.has_file && resolve_path(t) < 0)) {
        return -1;
    }
    pmt_recorder *outer = pmt_active;
    if (outer != NULL) {
        if (outer->output.special) { /* the same in reverse: see end_innermost */
            Py_BEGIN_ALLOW_THREADS
            pmt_writer_drain(&outer->writer);
            Py_END_ALLOW_THREADS
        }
        pmt_recorder_suspend(outer);
    }
    int rc = open_recorder(t, &r);
    if (rc == 0 && pmt_active != outer) { /* the GIL was free while the file was opened */
        discard(r);
        PyErr_SetString(PyExc_RuntimeError, "another thread began to record meanwhile");
        rc = -1;
    }
    if (rc < 0) {
        if (outer != NULL && pmt_active == outer) {
            pmt_recorder_resume(outer);
        }
        return -1;
    }
    r->owner = t;
    r->thread = PyThread_get_thread_ident();
    r->threads_before = newest_thread_id(&r->threads_made);
    r->outer = outer;
    /* From here on events are r's: nothing of ours runs as Python after the engine is in. */
    if (outer == NULL && engine->install(r) < 0) {
        discard(r);
        return -1;
    }
    t->recorder = r;
    t->started = true;
    Py_INCREF(t); /* while it runs */
    pmt_recorder_begin(r, pmt_next_generation());
    pmt_active = r;
    if (outer != NULL && engine->retarget(r) < 0) {
        PyErr_Clear(); /* an audit hook says no to some thread: its events stay the outer way of counting */
    }
    return 0;
}

/* ---- stop ---- */

/* Results of an ended recording; its tracer does not know it any more. */
static void keep_results(pmt_tracer *t, pmt_recorder *r, uint64_t untraced, int replaced)
{
    t->stats = pmt_stats(r);
    t->growth = pmt_growth_list(r);
    if (t->stats != NULL) {
        PyObject *a = PyLong_FromUnsignedLongLong(untraced), *b = PyLong_FromLong(replaced);
        if (a == NULL || b == NULL || PyDict_SetItemString(t->stats, "threads_untraced", a) < 0 ||
            PyDict_SetItemString(t->stats, "profilers_met", b) < 0) {
            PyErr_Clear();
        }
        Py_XDECREF(a);
        Py_XDECREF(b);
    }
    if (r->error != 0) {
        t->error = pmt_os_error(r->error, t->options.has_file ? r->output.path : NULL);
    }
    if (t->options.has_file && r->output.path != NULL && strcmp(r->output.path, t->absolute) != 0) {
        free(t->absolute);
        t->absolute = strdup(r->output.path); /* the name that was free */
    }
    PyErr_Clear();
}

static void end_innermost(void)
{
    pmt_recorder *r = pmt_active;
    pmt_tracer *t = r->owner;
    int replaced = 0;
    size_t n = 0;
    pmt_recorder_end(r);
    t->recorder = NULL; /* first of all: what follows may run Python, which may stop us again */
    pmt_active = r->outer;
    uint64_t untraced = untraced_threads(r);
    if (pmt_active == NULL) {
        replaced = engine->remove(r);
    }
    if (untraced > 0 || replaced > 0 || r->passed_through > 0) {
        char line[160];
        pmt_state state = r->state;
        r->state = state == PMT_FAILED ? state : PMT_RUNNING; /* for these last lines */
        if (untraced > 0) {
            snprintf(line, sizeof line, "threads that could not be seen: %llu", (unsigned long long)untraced);
            pmt_recorder_text(r, line, strlen(line));
        }
        if (replaced > 0) {
            snprintf(line, sizeof line, "threads whose profile function the program had replaced or removed: %d", replaced);
            pmt_recorder_text(r, line, strlen(line));
        }
        if (r->passed_through > 0) {
            snprintf(line, sizeof line, "recordings of other threads that passed through: %llu",
                     (unsigned long long)r->passed_through);
            pmt_recorder_text(r, line, strlen(line));
        }
        r->state = state;
    }
    char *text = t->options.has_file ? pmt_footer_text(r, pmt_recorder_error(r) < 0 ? r->error_where : NULL, &n) : NULL;
    if (r->output.special) { /* a pipe may be read by a thread of this process, which needs the GIL to empty it */
        Py_BEGIN_ALLOW_THREADS
        pmt_recorder_close(r, text, text == NULL ? 0 : n);
        Py_END_ALLOW_THREADS
    }
    else {
        pmt_recorder_close(r, text, text == NULL ? 0 : n);
    }
    free(text);
    keep_results(t, r, untraced, replaced);
    pmt_recorder_free(r);
    if (pmt_active != NULL) {
        if (engine->retarget(pmt_active) < 0) {
            PyErr_Clear();
        }
        pmt_recorder_resume(pmt_active);
    }
    Py_DECREF(t);
}

void pmt_tracer_stop(pmt_tracer *t)
{
    pmt_exc saved = pmt_exc_save();
    Py_INCREF(t);
    if (t->recorder != NULL && !pmt_tracer_running(t)) {
        drop_inherited();
    }
    while (t->recorder != NULL) { /* ending an outer one ends the inner ones first */
        end_innermost();
    }
    Py_DECREF(t);
    pmt_exc_restore(saved);
}

int pmt_tracer_warn(pmt_tracer *t)
{
    if (t->error == NULL) {
        return 0;
    }
    pmt_exc saved = pmt_exc_save();
    PyObject *path = pmt_tracer_path(t);
    int rc = path == NULL ? -1
                          : PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "recording into %S stopped early: %S", path, t->error);
    if (rc < 0) { /* -W error: a full disk must not become the program's exception */
        PyErr_WriteUnraisable((PyObject *)t);
    }
    Py_XDECREF(path);
    pmt_exc_restore(saved);
    return 0;
}

int pmt_tracer_write(pmt_tracer *t, PyObject *text, PyObject *error)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "a message must be str, not %.100s", Py_TYPE(text)->tp_name);
        return -1;
    }
    if (t == NULL || !pmt_tracer_running(t)) {
        PyErr_SetString(error, "no recording runs, so there is no log to write to");
        return -1;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    if (bytes == NULL) {
        return -1;
    }
    pmt_recorder_text(t->recorder, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

/* ---- methods ---- */

static PyObject *error_or_none(pmt_tracer *t)
{
    PyObject *value = t->error == NULL ? Py_None : t->error;
    Py_INCREF(value);
    return value;
}

static PyObject *tracer_start(PyObject *self, PyObject *Py_UNUSED(args))
{
    if (pmt_tracer_start((pmt_tracer *)self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *tracer_stop(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer_stop((pmt_tracer *)self);
    return error_or_none((pmt_tracer *)self);
}

static PyObject *tracer_enter(PyObject *self, PyObject *Py_UNUSED(args))
{
    if (pmt_tracer_start((pmt_tracer *)self) < 0) {
        return NULL;
    }
    Py_INCREF(self);
    return self;
}

static PyObject *tracer_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = (pmt_tracer *)self;
    bool ended = t->recorder == NULL;
    pmt_tracer_stop(t);
    if (!ended) {
        pmt_tracer_warn(t);
    }
    Py_RETURN_NONE;
}

static PyObject *tracer_write_message(PyObject *self, PyObject *text)
{
    if (pmt_tracer_write((pmt_tracer *)self, text, PyExc_ValueError) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *tracer_growth(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", NULL};
    pmt_tracer *t = (pmt_tracer *)self;
    Py_ssize_t limit = 5;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:growth", names, &limit)) {
        return NULL;
    }
    PyObject *all = t->recorder != NULL ? pmt_growth_list(t->recorder) : t->growth != NULL ? t->growth : PyList_New(0);
    if (all == NULL) {
        return NULL;
    }
    PyObject *part = PyList_GetSlice(all, 0, limit < 0 ? PY_SSIZE_T_MAX : limit);
    if (all != t->growth) {
        Py_DECREF(all);
    }
    return part;
}

static PyObject *tracer_stats(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = (pmt_tracer *)self;
    if (t->recorder != NULL) {
        t->recorder->last_pair = pmt_clock_pair(&t->recorder->clock);
        return pmt_stats(t->recorder);
    }
    return t->stats == NULL ? PyDict_New() : PyDict_Copy(t->stats);
}

static PyObject *figure(pmt_tracer *t, const char *key)
{
    PyObject *stats = tracer_stats((PyObject *)t, NULL);
    PyObject *value = stats == NULL ? NULL : PyDict_GetItemString(stats, key);
    Py_XINCREF(value);
    Py_XDECREF(stats);
    return value != NULL || PyErr_Occurred() ? value : PyLong_FromLong(0);
}

static PyObject *get_path(PyObject *self, void *Py_UNUSED(closure))
{
    return pmt_tracer_path((pmt_tracer *)self);
}

static PyObject *get_running(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(pmt_tracer_running((pmt_tracer *)self));
}

static PyObject *get_figure(PyObject *self, void *closure)
{
    return figure((pmt_tracer *)self, closure);
}

static PyObject *get_error(PyObject *self, void *Py_UNUSED(closure))
{
    return error_or_none((pmt_tracer *)self);
}

static void tracer_dealloc(PyObject *self)
{
    pmt_tracer *t = (pmt_tracer *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(t->path);
    Py_XDECREF(t->message);
    Py_XDECREF(t->stats);
    Py_XDECREF(t->growth);
    Py_XDECREF(t->error);
    free(t->absolute);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef tracer_methods[] = {
    {"start", tracer_start, METH_NOARGS, "Open the output and record from the caller's next event on."},
    {"stop", tracer_stop, METH_NOARGS, "Uninstall, drain, write the end, close. Returns the error or None; never raises."},
    {"__enter__", tracer_enter, METH_NOARGS, "start()"},
    {"__exit__", tracer_exit, METH_VARARGS, "stop(), and one RuntimeWarning if the recording had ended by an error."},
    {"write_message", tracer_write_message, METH_O, "Put a `# text` line into the log, in order."},
    {"growth", (PyCFunction)(void (*)(void))tracer_growth, METH_VARARGS | METH_KEYWORDS,
     "growth(limit=5): who grew most, (file, line, function, net bytes, times), largest first; -1: all."},
    {"stats", tracer_stats, METH_NOARGS, "All counters of the recording so far, as a dict."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef tracer_getset[] = {
    {"path", get_path, NULL, "Absolute path of the output once started, or None.", NULL},
    {"running", get_running, NULL, "True from start() to stop(), in this process.", NULL},
    {"events", get_figure, NULL, "Events seen.", "events"},
    {"events_logged", get_figure, NULL, "Events that became rows.", "logged"},
    {"rss_peak", get_figure, NULL, "Largest RSS or peak within the recording, bytes.", "rss_peak"},
    {"error", get_error, NULL, "The OSError that ended the recording early, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot tracer_slots[] = {
    {Py_tp_init, tracer_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, tracer_dealloc},
    {Py_tp_methods, tracer_methods},
    {Py_tp_getset, tracer_getset},
    {Py_tp_doc, "Tracer(path=None, *, log='threshold', threshold=None, compute='all', engine='auto', message=None,\n"
                "overwrite=False, comments=True, unique=False)\n\nOne recording of this process."},
    {0, NULL},
};

PyType_Spec pmt_tracer_spec = {
    .name = "pymemtrace.cPyMemTrace.Tracer",
    .basicsize = sizeof(pmt_tracer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = tracer_slots,
};

static void mark_own(PyMethodDef *methods) /* start and stop are never events */
{
    static const char *const names[] = {"start", "stop", "__enter__", "__exit__"};
    for (; methods->ml_name != NULL; methods++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (strcmp(methods->ml_name, names[i]) == 0) {
                pmt_mark_add(methods, PMT_MARK_OWN);
            }
        }
    }
}

extern PyType_Spec pmt_profile_spec;      /* profile.c */
extern PyMethodDef pmt_profile_methods[];

int pmt_tracer_types_init(PyObject *module)
{
    PyObject *tracer = PyType_FromModuleAndSpec(module, &pmt_tracer_spec, NULL);
    PyObject *profile = tracer == NULL ? NULL : PyType_FromModuleAndSpec(module, &pmt_profile_spec, NULL);
    int rc = profile == NULL || pmt_module_add(module, "Tracer", tracer) < 0 ||
                     pmt_module_add(module, "Profile", profile) < 0
                 ? -1
                 : 0;
    mark_own(tracer_methods);
    mark_own(pmt_profile_methods);
    Py_XDECREF(tracer);
    Py_XDECREF(profile);
    return rc;
}
