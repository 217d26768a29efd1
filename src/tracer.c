/* DESIGN: a Tracer owns its recorder while it runs; pmt_active is the innermost recorder and hangs the outer ones on
 * itself. A running Tracer holds a reference to itself, so that a recording whose object was dropped goes on to the end
 * of the process. In a forked child the recorder is only forgotten. */
#include "tracer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "engine.h"
#include "environment.h"
#include "errors.h"
#include "finish.h"
#include "fork.h"
#include "member.h"
#include "paths.h"
#include "process.h"
#include "samplers.h"
#include "threads.h"

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

static void drop_samples(pmt_tracer *t) /* of its parent */
{
    if (t->sampler != NULL && !pmt_samplers_ours(t->sampler)) {
        pmt_samplers_free(t->sampler);
        t->sampler = NULL;
    }
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
        drop_samples(owner);
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
    PyObject *log = PyUnicode_DecodeFSDefault(r->output.path);
    pmt_raise_saying(EEXIST,
                     log == NULL ? NULL
                                 : PyUnicode_FromFormat("it holds the end of a recording that was killed; "
                                                        "`python -m pymemtrace recover %U` first, or remove it",
                                                        log),
                     path);
    Py_XDECREF(log);
}

static void raise_opening(int rc, const pmt_tracer *t)
{
    if (rc == -EDEADLK) {
        const char *said = "this process itself reads that pipe, and could not empty it for us";
        pmt_raise_saying(EDEADLK, PyUnicode_FromString(said), t->absolute);
    }
    else {
        pmt_raise(rc, t->absolute);
    }
}

/* Beside the log; for one that is no regular file a name of their own. 0, or -1 with an exception. */
static int open_samples(pmt_tracer *t, const pmt_recorder *r)
{
    if (t->sample_ns == 0) {
        return 0;
    }
    pmt_fields fields = pmt_paths_fields(t);
    bool beside = r->options.has_file && !r->output.special;
    char *name = beside ? NULL : pmt_template_expand(PMT_SAMPLES_NAME, &fields);
    char *path = beside ? pmt_samples_path(r->output.path) : name == NULL ? NULL : pmt_path_absolute(name);
    int rc = path == NULL ? -errno
                          : pmt_samplers_open(&t->sampler, path, beside ? t->options.open_flags : PMT_OPEN_UNIQUE,
                                              t->sample_ns, PMT_PSS_NS);
    rc = rc < 0 ? rc : pmt_samplers_start(t->sampler);
    if (rc < 0) {
        pmt_raise(rc, path);
        pmt_samplers_free(t->sampler);
        t->sampler = NULL;
    }
    free(path);
    free(name);
    return rc < 0 ? -1 : 0;
}

static void discard_samples(pmt_tracer *t) /* of a start that failed later; their file goes */
{
    if (t->sampler != NULL) {
        pmt_samplers_stop(t->sampler);
        t->sampler->begun = false;
        pmt_samplers_free(t->sampler);
        t->sampler = NULL;
    }
}

/* parent: the recorder that a forked child's is to be like, or NULL. */
static int open_recorder(pmt_tracer *t, const pmt_recorder *parent, pmt_recorder **out)
{
    pmt_recorder *r;
    size_t n = 0;
    const char *unshare = getenv("PYMEMTRACE_UNSHARE");
    t->options.gate = getenv("PYMEMTRACE_GATE");
    t->options.clock = getenv("PYMEMTRACE_CLOCK");
    t->options.unshare = unshare == NULL || strcmp(unshare, "off") != 0;
    int rc = pmt_recorder_new(&r, &t->options, pmt_thread_name_at, parent);
    if (rc < 0) {
        pmt_raise(rc, t->absolute);
        return -1;
    }
    const char *path = t->absolute;
    pmt_member_begins(path == NULL || access(path, F_OK) == 0 ? "" : path); /* an empty file of that name will be ours */
    rc = pmt_recorder_create(r, &path);
    if (rc < 0) {
        raise_about(rc, r, path);
        pmt_recorder_free(r);
        return -1;
    }
    drop_samples(t);
    t->samples_missing = open_samples(t, r) < 0;
    if (t->samples_missing && parent == NULL) {
        pmt_recorder_free(r);
        return -1;
    }
    PyErr_Clear(); /* a child is recorded without them, and its log says so */
    char *text = NULL;
    if (t->options.has_file) {
        pmt_member_begins(r->output.path);
        text = pmt_header_text(r, t->message == NULL ? "" : PyBytes_AS_STRING(t->message),
                               t->message == NULL ? 0 : (size_t)PyBytes_GET_SIZE(t->message),
                               t->why, &n);
        rc = text == NULL ? -ENOMEM : 0;
    }
    if (rc == 0) {
        Py_BEGIN_ALLOW_THREADS /* opening a FIFO waits for its reader, who may be a thread of this process */
        rc = pmt_recorder_open(r, text, n);
        Py_END_ALLOW_THREADS
    }
    free(text);
    if (rc < 0) {
        raise_opening(rc, t);
        discard_samples(t);
        pmt_recorder_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

static void discard(pmt_tracer *t, pmt_recorder *r) /* a start that failed after the file was made */
{
    discard_samples(t);
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

/* The engine of t, alone, for r. What was in before is out if that fails. */
static int engage(const pmt_tracer *t, pmt_recorder *r)
{
    if (pmt_engine_installed == t->engine) {
        return t->engine->retarget(r);
    }
    if (pmt_engine_installed != NULL) {
        pmt_engine_installed->remove(NULL);
    }
    pmt_engine_installed = t->engine->install(r) < 0 ? NULL : t->engine;
    return pmt_engine_installed == NULL ? -1 : 0;
}

static void engage_again(pmt_recorder *r) /* of a recording that goes on; no exception is made or lost */
{
    pmt_exc saved = pmt_exc_save();
    if (engage(r->owner, r) < 0) {
        PyErr_Clear(); /* an audit hook says no to some thread: its events stay the other way of counting, or away */
    }
    pmt_exc_restore(saved);
}

static void own(pmt_tracer *t, pmt_recorder *r)
{
    r->owner = t;
    r->thread = PyThread_get_thread_ident();
    r->threads_before = newest_thread_id(&r->threads_made);
}

int pmt_tracer_start(pmt_tracer *t)
{
    static PyMethodDef at_exit_def = {"end_of_recordings", at_exit, METH_NOARGS, NULL};
    static bool at_exit_done;
    pmt_recorder *r;
    drop_inherited();
    pmt_recorder *outer = pmt_active;
    t->engine = pmt_engine_choose(t->engine_choice, t->why, sizeof t->why);
    if (t->engine == NULL || may_start(t) < 0 || pmt_fork_init() < 0 ||
        pmt_call_at_exit(&at_exit_def, &at_exit_done) < 0) {
        return -1;
    }
    int family = pmt_children_enter(t);
    if (t->options.has_file && pmt_paths_resolve(t) < 0) {
        pmt_children_refused(t);
        return -1;
    }
    t->options.engine = t->engine->name;
    if (outer != NULL) {
        if (outer->output.special) { /* the same in reverse: see end_innermost */
            Py_BEGIN_ALLOW_THREADS
            pmt_writer_drain(&outer->writer);
            Py_END_ALLOW_THREADS
        }
        pmt_recorder_suspend(outer);
    }
    int rc = open_recorder(t, NULL, &r);
    if (rc == 0 && pmt_active != outer) { /* the GIL was free while the file was opened */
        discard(t, r);
        PyErr_SetString(PyExc_RuntimeError, "another thread began to record meanwhile");
        rc = -1;
    }
    if (rc < 0) {
        pmt_children_refused(t);
        if (outer != NULL && pmt_active == outer) {
            pmt_recorder_resume(outer);
        }
        return -1;
    }
    own(t, r);
    r->outer = outer;
    int published = pmt_environment_publish(t, r);
    family = family < 0 ? family : published;
    /* From here on events are r's: nothing of ours runs as Python after the engine is in. */
    bool alone = outer == NULL || pmt_engine_installed != t->engine;
    if (alone && engage(t, r) < 0) {
        pmt_environment_withdraw(t);
        pmt_children_refused(t);
        discard(t, r);
        if (outer != NULL) {
            engage_again(outer);
            pmt_recorder_resume(outer);
        }
        return -1;
    }
    t->recorder = r;
    t->started = true;
    Py_INCREF(t); /* while it runs */
    pmt_recorder_begin(r, pmt_next_generation());
    pmt_active = r;
    if (!alone) {
        engage_again(r);
    }
    pmt_member_began(r);
    if (family < 0) {
        char line[160];
        snprintf(line, sizeof line, "Pythons that it starts are not recorded: %s", strerror(-family));
        pmt_recorder_text(r, line, strlen(line));
    }
    return 0;
}

/* Its Python is that of the parent at the fork: the thread that forked, and our engine in it. */
int pmt_tracer_fork(pmt_tracer *t, pmt_recorder *parent)
{
    pmt_recorder *r = NULL;
    char *first_of_parent = t->absolute;
    pmt_exc saved = pmt_exc_save();
    sigset_t all, before;
    sigfillset(&all); /* who is to end now has a file that says so */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pmt_family_enter(&pmt_our_family);
    t->absolute = pmt_paths_further(t);
    t->options.path = t->absolute;
    t->options.open_flags = PMT_OPEN_UNIQUE;
    if (t->absolute == NULL) {
        PyErr_NoMemory();
    }
    Py_INCREF(t); /* while it runs */
    int rc = t->absolute == NULL ? -1 : open_recorder(t, parent, &r);
    if (rc == 0 && pmt_active != parent) { /* the GIL was free: a thread that another hook started */
        discard(t, r);
        PyErr_SetString(PyExc_RuntimeError, "another thread began to record meanwhile");
        rc = -1;
    }
    if (rc < 0) {
        pmt_children_refused(t);
        PyErr_Clear();
        free(t->absolute);
        t->absolute = first_of_parent;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pmt_exc_restore(saved);
        Py_DECREF(t);
        return -1;
    }
    free(first_of_parent);
    for (pmt_recorder *outer = parent->outer; outer != NULL; outer = outer->outer) {
        pmt_environment_inherit(t, outer->owner);
    }
    drop_inherited();
    own(t, r);
    t->recorder = r;
    pmt_threads_forked();
    pmt_recorder_begin(r, pmt_next_generation());
    pmt_active = r;
    pmt_member_began(r);
    if (t->samples_missing) {
        static const char line[] = "samples: their file could not be made";
        pmt_recorder_text(r, line, sizeof line - 1);
    }
    if (pmt_engine_installed != NULL && pmt_engine_installed->forked(r) < 0) {
        PyErr_Clear(); /* an audit hook says no: the recording is there, without events */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pmt_exc_restore(saved);
    return 0;
}

/* ---- stop ---- */

PyObject *pmt_tracer_stats(const pmt_tracer *t, pmt_recorder *r)
{
    PyObject *stats = pmt_stats(r);
    PyObject *samples = stats == NULL ? NULL : t->sampler == NULL ? pmt_ref(Py_None) : pmt_samples_dict(t->sampler);
    if (samples == NULL || PyDict_SetItemString(stats, "samples", samples) < 0) {
        Py_CLEAR(stats);
    }
    Py_XDECREF(samples);
    return stats;
}

/* Results of an ended recording; its tracer does not know it any more. */
static void keep_results(pmt_tracer *t, pmt_recorder *r, uint64_t untraced, int replaced)
{
    t->stats = pmt_tracer_stats(t, r);
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
    size_t n = 0;
    pmt_recorder_end(r);
    t->recorder = NULL; /* first of all: what follows may run Python, which may stop us again */
    pmt_active = r->outer;
    pmt_unseen unseen = {.threads = untraced_threads(r)};
    if (pmt_active == NULL) {
        unseen.replaced = pmt_engine_installed == NULL ? 0 : pmt_engine_installed->remove(r);
        pmt_engine_installed = NULL;
    }
    pmt_environment_withdraw(t);
    if (t->sampler != NULL) {
        pmt_samplers_stop(t->sampler);
    }
    const char *failed = pmt_recorder_error(r) < 0 ? r->error_where : NULL;
    char *text = t->options.has_file ? pmt_footer_text(r, failed, &unseen, &n) : NULL;
    if (r->output.special) { /* a pipe may be read by a thread of this process, which needs the GIL to empty it */
        Py_BEGIN_ALLOW_THREADS
        pmt_recorder_close(r, text, text == NULL ? 0 : n);
        Py_END_ALLOW_THREADS
    }
    else {
        pmt_recorder_close(r, text, text == NULL ? 0 : n);
    }
    free(text);
    keep_results(t, r, unseen.threads, unseen.replaced);
    pmt_samplers_free(t->sampler);
    t->sampler = NULL;
    pmt_member_ended(r);
    pmt_recorder_free(r);
    if (pmt_active != NULL) {
        engage_again(pmt_active);
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
