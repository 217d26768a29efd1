/* profile.c - type Profile: the established interface, on a Tracer of its own. Under the GIL. */
#include "tracer.h"

typedef struct pmt_profile {
    PyObject_HEAD
    PyObject *tracer; /* owned; NULL before __init__ */
} pmt_profile;

PyMethodDef pmt_profile_methods[];

static int profile_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"d_rss_trigger", "message", "filepath", NULL};
    pmt_profile *p = (pmt_profile *)self;
    PyObject *trigger = NULL, *message = Py_None, *filepath = Py_None, *module, *type, *empty, *options;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:Profile", names, &trigger, &message, &filepath)) {
        return -1;
    }
    if (p->tracer != NULL && ((pmt_tracer *)p->tracer)->started) {
        PyErr_SetString(PyExc_RuntimeError, "a Profile that was entered cannot be changed");
        return -1;
    }
    module = PyImport_ImportModule("pymemtrace.cPyMemTrace");
    type = module == NULL ? NULL : PyObject_GetAttrString(module, "Tracer");
    empty = PyTuple_Pack(1, filepath);
    options = Py_BuildValue("{s:s,s:O,s:O}", "log", "previous", "threshold", trigger == NULL ? Py_None : trigger,
                            "message", message);
    if (options != NULL && trigger != NULL && PyLong_Check(trigger)) {
        int zero = PyObject_Not(trigger); /* every event: the plain table */
        PyObject *all = zero == 1 ? PyUnicode_FromString("all") : NULL;
        if (zero < 0 || (zero == 1 && (all == NULL || PyDict_SetItemString(options, "log", all) < 0))) {
            Py_CLEAR(options);
        }
        Py_XDECREF(all);
    }
    PyObject *tracer = type == NULL || empty == NULL || options == NULL ? NULL : PyObject_Call(type, empty, options);
    Py_XDECREF(module);
    Py_XDECREF(type);
    Py_XDECREF(empty);
    Py_XDECREF(options);
    if (tracer == NULL) {
        return -1;
    }
    Py_XSETREF(p->tracer, tracer);
    return 0;
}

static pmt_tracer *tracer_of(PyObject *self) /* NULL with an exception */
{
    pmt_profile *p = (pmt_profile *)self;
    if (p->tracer == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Profile.__init__ was not called");
    }
    return (pmt_tracer *)p->tracer;
}

static PyObject *profile_enter(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = tracer_of(self);
    if (t == NULL || pmt_tracer_start(t) < 0) {
        return NULL;
    }
    Py_INCREF(self);
    return self;
}

static PyObject *profile_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = tracer_of(self);
    if (t == NULL) {
        return NULL;
    }
    bool ended = t->recorder == NULL;
    pmt_tracer_stop(t);
    if (!ended) {
        pmt_tracer_warn(t);
    }
    Py_RETURN_NONE;
}

static PyObject *profile_path(PyObject *self, PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = tracer_of(self);
    if (t == NULL) {
        return NULL;
    }
    if (!pmt_tracer_running(t)) {
        Py_RETURN_NONE;
    }
    return pmt_tracer_path(t);
}

static PyObject *profile_write(PyObject *self, PyObject *text)
{
    pmt_tracer *t = tracer_of(self);
    if (t == NULL || pmt_tracer_write(t, text, PyExc_OSError) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static void profile_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((pmt_profile *)self)->tracer);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef pmt_profile_methods[] = {
    {"__enter__", profile_enter, METH_NOARGS, "Record from here on."},
    {"__exit__", profile_exit, METH_VARARGS, "End the recording."},
    {"log_file_path", profile_path, METH_NOARGS, "Path of the log while it records, None after the end."},
    {"write_message_to_log", profile_write, METH_O, "Put a line into the log. Raises OSError after the end."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot profile_slots[] = {
    {Py_tp_init, profile_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, profile_dealloc},
    {Py_tp_methods, pmt_profile_methods},
    {Py_tp_doc, "Profile(d_rss_trigger=-1, message=None, filepath=None)\n\n"
                "Log changes of RSS: -1 of a page, 0 every event, n of at least n bytes."},
    {0, NULL},
};

PyType_Spec pmt_profile_spec = {
    .name = "pymemtrace.cPyMemTrace.Profile",
    .basicsize = sizeof(pmt_profile),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = profile_slots,
};
