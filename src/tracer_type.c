/* DESIGN: what Python sees of a recording: the type Tracer, its arguments, methods and figures. What they do is in
 * tracer.c. */
#include "tracer.h"

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "environment.h"
#include "finish.h"
#include "process.h"
#include "samplers.h"

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

static bool is_int(PyObject *value, const char *what) /* false: TypeError is set */
{
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a number of bytes (int), not %R", what, value);
        return false;
    }
    return true;
}

static int threshold_of(PyObject *value, uint64_t *out)
{
    if (value == NULL || value == Py_None) {
        *out = (uint64_t)sysconf(_SC_PAGESIZE);
        return 0;
    }
    if (!is_int(value, "threshold")) {
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
    if (!is_int(value, "keep")) {
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
    static char *names[] = {"path",    "log",       "threshold", "compute", "engine",
                            "message", "overwrite", "comments",  "unique",  "format", "keep",
                            "children", "family",   "beside",    "program",   "sample", NULL};
    pmt_tracer *t = (pmt_tracer *)self;
    PyObject *path = NULL, *log = NULL, *threshold = NULL, *compute = NULL, *which = NULL, *message = NULL;
    PyObject *format = NULL, *keep = NULL, *children = NULL, *family = NULL, *beside = NULL, *program = NULL, *sample = NULL;
    int overwrite = 0, comments = 1, unique = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$OOOOOpppOOOOOOO:Tracer", names, &path, &log, &threshold, &compute,
                                     &which, &message, &overwrite, &comments, &unique, &format, &keep, &children,
                                     &family, &beside, &program, &sample)) {
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
    int e = c < 0 || which == NULL ? PMT_ENGINE_AUTO : choose("engine", which, pmt_engine_names, 3);
    if (n < 0 || c < 0 || e < 0 ||
        threshold_of(threshold, &o.threshold) < 0 || keep_of(keep, &o.keep) < 0) {
        return -1;
    }
    o.log = (pmt_log)n;
    o.compute = (pmt_compute)c;
    o.binary = f == 1;
    t->engine_choice = (pmt_engine_choice)e;
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
    Py_CLEAR(t->message);
    if (take_bytes(message, "message", &t->message) < 0 || pmt_take_template(path, &t->path) < 0 ||
        pmt_take_path(children, &t->children) < 0 || pmt_take_path(family, &t->family) < 0 ||
        pmt_take_path(beside, &t->beside) < 0 || pmt_take_path(program, &t->program) < 0 ||
        (sample != NULL && sample != Py_None && pmt_take_seconds(sample, "sample", false, &t->sample_ns) < 0)) {
        return -1;
    }
    o.open_flags = (overwrite ? PMT_OPEN_OVERWRITE : 0) | (unique || t->path == NULL ? PMT_OPEN_UNIQUE : 0);
    o.has_file = t->path != NULL || o.log != PMT_LOG_NONE;
    t->options = o;
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
        return pmt_tracer_stats(t, t->recorder);
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
    Py_XDECREF(t->children);
    Py_XDECREF(t->family);
    Py_XDECREF(t->beside);
    Py_XDECREF(t->program);
    pmt_samplers_free(t->sampler);
    pmt_environment_forget(t);
    free(t->template);
    free(t->first);
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

static PyType_Spec tracer_spec = {
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
    PyObject *tracer = PyType_FromModuleAndSpec(module, &tracer_spec, NULL);
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
