/* DESIGN: a running Sampler holds a reference to itself, so that one whose object was dropped goes on to the end of the
 * process. In a forked child it is only forgotten: what it has read until then stays to be asked for. */
#include "sampler_type.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "arguments.h"
#include "core/template.h"
#include "errors.h"
#include "fork.h"
#include "member.h"
#include "process.h"
#include "samplers.h"

struct pmt_sampling {
    PyObject_HEAD
    PyObject *path;       /* bytes as given, a template; NULL: default name */
    PyObject *program;    /* bytes: {name}; NULL: python */
    int64_t interval_ns, pss_ns;
    unsigned flags;
    pmt_sampler *sampler; /* owned; NULL: not started, or ended */
    bool started;
    PyObject *stats;      /* dict, of an ended one; NULL: not ended */
    pmt_sampling *next;   /* of those that run */
};

static pmt_sampling *started; /* those that run, each with a reference to itself */

/* ---- start and stop ---- */

static char *output_path(const pmt_sampling *p) /* absolute, malloc'ed; NULL: errno set */
{
    const char *given = p->path == NULL ? PMT_SAMPLES_NAME : PyBytes_AS_STRING(p->path);
    pmt_fields fields = {.pid = (long)getpid(), .seq = pmt_our_family.seq,
                         .program = p->program == NULL ? "python" : PyBytes_AS_STRING(p->program)};
    char *name = pmt_template_expand(given, &fields), *whole = name == NULL ? NULL : pmt_path_absolute(name);
    free(name);
    return whole;
}

static PyObject *at_exit(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    while (started != NULL) {
        pmt_sampling_stop(started);
    }
    Py_RETURN_NONE;
}

int pmt_sampling_start(pmt_sampling *p)
{
    if (p->started) {
        PyErr_SetString(PyExc_RuntimeError, "a Sampler can be started once");
        return -1;
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_RuntimeError, "sampling works in the main interpreter only");
        return -1;
    }
    static PyMethodDef at_exit_def = {"end_of_samples", at_exit, METH_NOARGS, NULL};
    static bool at_exit_done;
    if (pmt_fork_init() < 0 || pmt_call_at_exit(&at_exit_def, &at_exit_done) < 0) {
        return -1;
    }
    p->started = true; /* before the GIL may be released */
    pmt_sampler *s = NULL;
    char *path = output_path(p);
    int rc = path == NULL ? -errno : pmt_samplers_open(&s, path, p->flags, p->interval_ns, p->pss_ns);
    rc = rc < 0 ? rc : pmt_samplers_start(s);
    if (rc < 0) {
        p->started = false;
        pmt_raise(rc, path);
        pmt_samplers_free(s);
        free(path);
        return -1;
    }
    free(path);
    p->sampler = s;
    p->next = started;
    started = p;
    Py_INCREF(p); /* while it runs */
    return 0;
}

static void let_go(pmt_sampling *p) /* of its place among those that run, and the reference that goes with it */
{
    for (pmt_sampling **at = &started; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            Py_DECREF(p);
            return;
        }
    }
}

void pmt_sampling_stop(pmt_sampling *p)
{
    pmt_sampler *s = p->sampler;
    if (s == NULL) {
        return;
    }
    pmt_exc saved = pmt_exc_save();
    Py_INCREF(p);
    p->sampler = NULL; /* first of all: the GIL may be released, and somebody stop it again */
    let_go(p);
    pmt_samplers_stop(s);
    p->stats = pmt_samples_dict(s);
    PyErr_Clear();
    pmt_samplers_free(s);
    Py_DECREF(p);
    pmt_exc_restore(saved);
}

/* ---- arguments ---- */

static int sampler_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "interval", "pss_interval", "overwrite", "unique", "program", NULL};
    pmt_sampling *p = (pmt_sampling *)self;
    PyObject *path = NULL, *interval = NULL, *pss = NULL, *program = NULL;
    int overwrite = 0, unique = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$OOppO:Sampler", names, &path, &interval, &pss, &overwrite, &unique,
                                     &program)) {
        return -1;
    }
    if (p->started) {
        PyErr_SetString(PyExc_RuntimeError, "a Sampler that was started cannot be changed");
        return -1;
    }
    p->interval_ns = 250000000;
    p->pss_ns = PMT_PSS_NS;
    if ((interval != NULL && pmt_take_seconds(interval, "interval", false, &p->interval_ns) < 0) ||
        (pss != NULL && pmt_take_seconds(pss, "pss_interval", true, &p->pss_ns) < 0) || pmt_take_template(path, &p->path) < 0 ||
        pmt_take_path(program, &p->program) < 0) {
        return -1;
    }
    p->flags = (overwrite ? PMT_OPEN_OVERWRITE : 0) | (unique || p->path == NULL ? PMT_OPEN_UNIQUE : 0);
    return 0;
}

/* ---- methods ---- */

static PyObject *sampler_stats(PyObject *self, PyObject *Py_UNUSED(args))
{
    const pmt_sampling *p = (const pmt_sampling *)self;
    return p->sampler != NULL ? pmt_samples_dict(p->sampler) : p->stats != NULL ? PyDict_Copy(p->stats) : PyDict_New();
}

static PyObject *get_figure(PyObject *self, void *key) /* what there is not is None */
{
    PyObject *stats = sampler_stats(self, NULL), *value = stats == NULL ? NULL : PyDict_GetItemString(stats, key);
    value = stats == NULL ? NULL : pmt_ref(value == NULL ? Py_None : value);
    Py_XDECREF(stats);
    return value;
}

static PyObject *get_count(PyObject *self, void *key)
{
    PyObject *value = get_figure(self, key);
    if (value == Py_None) {
        Py_DECREF(value);
        value = PyLong_FromLong(0);
    }
    return value;
}

static PyObject *sampler_start(PyObject *self, PyObject *Py_UNUSED(args))
{
    if (pmt_sampling_start((pmt_sampling *)self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *sampler_stop(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_sampling_stop((pmt_sampling *)self);
    return get_figure(self, "error");
}

static PyObject *sampler_enter(PyObject *self, PyObject *Py_UNUSED(args))
{
    return pmt_sampling_start((pmt_sampling *)self) < 0 ? NULL : pmt_ref(self);
}

static PyObject *sampler_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_sampling *p = (pmt_sampling *)self;
    bool ended = p->sampler == NULL;
    pmt_sampling_stop(p);
    PyObject *error = ended ? pmt_ref(Py_None) : get_figure(self, "error"), *path = get_figure(self, "path");
    int rc = error == NULL || path == NULL ? -1 : 0;
    if (rc == 0 && error != Py_None) {
        rc = PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "sampling into %S stopped early: %S", path, error);
    }
    if (rc < 0) { /* -W error: a full disk must not become the program's exception */
        PyErr_WriteUnraisable(self);
    }
    Py_XDECREF(path);
    Py_XDECREF(error);
    Py_RETURN_NONE;
}

static PyObject *get_running(PyObject *self, void *Py_UNUSED(closure))
{
    const pmt_sampling *p = (const pmt_sampling *)self;
    return PyBool_FromLong(p->sampler != NULL && pmt_samplers_ours(p->sampler));
}

static void sampler_dealloc(PyObject *self)
{
    pmt_sampling *p = (pmt_sampling *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(p->path);
    Py_XDECREF(p->program);
    Py_XDECREF(p->stats);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sampler_methods[] = {
    {"start", sampler_start, METH_NOARGS, "Open the file, write the first sample, start the thread."},
    {"stop", sampler_stop, METH_NOARGS, "One more sample, then end. Returns the error or None; never raises."},
    {"__enter__", sampler_enter, METH_NOARGS, "start()"},
    {"__exit__", sampler_exit, METH_VARARGS, "stop(), and one RuntimeWarning if sampling had ended by an error."},
    {"stats", sampler_stats, METH_NOARGS, "What was sampled so far, as a dict."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef sampler_getset[] = {
    {"path", get_figure, NULL, "Absolute path of the file once started, or None.", "path"},
    {"running", get_running, NULL, "True from start() to stop(), in this process.", NULL},
    {"ticks", get_count, NULL, "Samples written.", "ticks"},
    {"missed", get_count, NULL, "Ticks that were not made.", "missed"},
    {"error", get_figure, NULL, "The OSError that ended the sampling early, or None.", "error"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot sampler_slots[] = {
    {Py_tp_init, sampler_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, sampler_dealloc},
    {Py_tp_methods, sampler_methods},
    {Py_tp_getset, sampler_getset},
    {Py_tp_doc, "Sampler(path=None, *, interval=0.25, pss_interval=1.0, overwrite=False, unique=False, program=None)\n\n"
                "This process's memory and CPU time at regular intervals, by a thread that never takes the GIL."},
    {0, NULL},
};

static PyType_Spec sampler_spec = {
    .name = "pymemtrace.cPyMemTrace.Sampler",
    .basicsize = sizeof(pmt_sampling),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = sampler_slots,
};

int pmt_sampler_types_init(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &sampler_spec, NULL);
    int rc = type == NULL ? -1 : pmt_module_add(module, "Sampler", type);
    for (size_t i = 0; i < 4; i++) { /* start, stop and what `with` calls are never events */
        pmt_mark_add(&sampler_methods[i], PMT_MARK_OWN);
    }
    Py_XDECREF(type);
    return rc;
}
