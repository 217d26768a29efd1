/* DESIGN: the engine on sys.monitoring, Python 3.12 on. CPython hands over the code object and the offset, so no frame
 * object is made for an event: half the cost of the profile function.
 *
 * One object for each event, which knows its kind, with a vectorcall function of our own. The way to record and the
 * arguments of the event are in that function: to change the way is to change a pointer. What is called, and whether it
 * counts as a C function, follows CPython's own profile function on sys.monitoring, so that both engines tell the same
 * events. */
#include "event.h"

#include <stddef.h>
#include <structmember.h>

#define TOOL_FIRST 3 /* 0, 1, 2 and 5 are a debugger's, a coverage tool's, a profiler's and an optimiser's */
#define TOOL_LAST 4

typedef struct receiver {
    PyObject_HEAD
    vectorcallfunc call;
    pmt_kind kind;
} receiver;

typedef enum group { OF_PYTHON, OF_UNWIND, OF_C, GROUPS } group; /* what an event is of */

static const struct {
    const char *event;
    pmt_kind kind;
    group of;
} events[] = {{"PY_START", PMT_CALL, OF_PYTHON},    {"PY_RESUME", PMT_CALL, OF_PYTHON}, {"PY_THROW", PMT_CALL, OF_PYTHON},
              {"PY_RETURN", PMT_RETURN, OF_PYTHON}, {"PY_YIELD", PMT_RETURN, OF_PYTHON}, {"PY_UNWIND", PMT_RETURN, OF_UNWIND},
              {"CALL", PMT_C_CALL, OF_C},           {"C_RETURN", PMT_C_RETURN, OF_C},   {"C_RAISE", PMT_C_EXCEPT, OF_C}};
#define EVENTS (sizeof events / sizeof *events)

static PyObject *receivers[EVENTS]; /* made once, for the process's life */
static PyObject *missing;           /* sys.monitoring.MISSING: there is no first argument */
static long tool = -1;              /* the id that is ours while installed */

/* The C function that a CALL, C_RETURN or C_RAISE is about; NULL: another callable, which makes no C event. Exact types
 * come first: they are nearly all, and a look at the base classes costs more than the rest. */
static __attribute__((noinline)) const PyMethodDef *unusual_c_function(PyObject *callable, PyObject *first)
{
    if (Py_IS_TYPE(callable, &PyMethodDescr_Type)) {
        bool bound = PyObject_TypeCheck(first, ((PyDescrObject *)callable)->d_type);
        return bound ? ((PyMethodDescrObject *)callable)->d_method : NULL;
    }
    if (PMT_BOUND_IN_CALL && PyMethod_Check(callable)) { /* types.MethodType(len, x) */
        callable = PyMethod_GET_FUNCTION(callable);
    }
    return PyCFunction_Check(callable) ? pmt_c_function(callable) : NULL; /* PyCMethod */
}

static inline const PyMethodDef *c_function(PyObject *callable, PyObject *first)
{
    if (Py_IS_TYPE(callable, &PyFunction_Type)) {
        return NULL;
    }
    if (Py_IS_TYPE(callable, &PyCFunction_Type)) {
        return pmt_c_function(callable);
    }
    if (Py_IS_TYPE(callable, &PyMethodDescr_Type)) { /* str.upper(x): an event only if it could be bound to x */
        if (first == missing) {
            return NULL;
        }
        if (Py_IS_TYPE(first, ((PyDescrObject *)callable)->d_type)) {
            return ((PyMethodDescrObject *)callable)->d_method;
        }
    }
    return Py_IS_TYPE(callable, &PyType_Type) ? NULL : unusual_c_function(callable, first);
}

/* register_callback() hands the object to the program, which may call it with anything: what has not the form of an
 * event is none, as far as it is looked at. */
PMT_INLINE PyObject *received(PyObject *self, PyObject *const *args, size_t nargsf, const group of,
                              const pmt_compute compute, const pmt_log log)
{
    pmt_kind kind = ((receiver *)self)->kind;
    const PyMethodDef *def = NULL;
    if ((of == OF_C) != (kind >= PMT_C_CALL)) {
        __builtin_unreachable(); /* see events */
    }
    if (__builtin_expect(PyVectorcall_NARGS(nargsf) < (of == OF_C ? 4 : 2), 0)) {
        Py_RETURN_NONE;
    }
    if (of == OF_C && (def = c_function(args[2], args[3])) == NULL) {
        Py_RETURN_NONE;
    }
    pmt_place place = {NULL, (PyCodeObject *)args[0], args[1]};
    if (compute != PMT_COMPUTE_NOTHING) {
        if (__builtin_expect(!PyLong_CheckExact(args[1]), 0) ||
            (__builtin_expect(pmt_thread_here == NULL, 0) &&
             (!PyCode_Check(place.code) || !pmt_thread_begins(place.code, kind, def)))) {
            Py_RETURN_NONE;
        }
    }
    if (of == OF_UNWIND) { /* the offset given is a handler's; the frame has the true line */
        PyFrameObject *frame = PyEval_GetFrame();
        place = frame != NULL && pmt_frame_code(frame) == place.code ? pmt_place_of(frame) : place;
    }
    pmt_on_event(place, kind, def, compute, log);
    Py_RETURN_NONE; /* never an exception, never DISABLE */
}

#define RECEIVED(name, of, compute, log)                                                         \
    static PyObject *name(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names) \
    {                                                                                            \
        (void)names;                                                                             \
        return received(self, args, nargsf, of, compute, log);                                   \
    }
#define RECEIVED_GROUPS(name, compute, log)                  \
    RECEIVED(name##_of_python, OF_PYTHON, compute, log)      \
    RECEIVED(name##_of_unwinding, OF_UNWIND, compute, log)   \
    RECEIVED(name##_of_c, OF_C, compute, log)

PMT_EACH_WAY(RECEIVED_GROUPS)

static PyMemberDef receiver_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(receiver, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, receiver_members},
    {Py_tp_doc, "What sys.monitoring calls while a recording runs."},
    {0, NULL},
};

static PyType_Spec receiver_spec = {
    .name = "pymemtrace.cPyMemTrace.MonitoringReceiver",
    .basicsize = sizeof(receiver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = receiver_slots,
};

/* Before the first recording. */
static PyObject *unused(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    (void)self, (void)args, (void)nargsf, (void)names;
    Py_RETURN_NONE;
}

static PyObject *module_of(void) /* borrowed; NULL without an exception: this Python has none */
{
    return PySys_GetObject("monitoring");
}

static const char *monitoring_usable(void)
{
    PyObject *monitoring = module_of();
    if (monitoring == NULL) {
        return "sys.monitoring came with Python 3.12";
    }
    for (long id = TOOL_FIRST; id <= TOOL_LAST; id++) {
        PyObject *name = PyObject_CallMethod(monitoring, "get_tool", "l", id);
        bool is_free = name == Py_None;
        Py_XDECREF(name);
        if (is_free) {
            return NULL;
        }
    }
    PyErr_Clear();
    return "the tools 3 and 4 of sys.monitoring are taken";
}

static int done(PyObject *result) /* takes it over: 0, or -1 with an exception */
{
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int take_tool(PyObject *monitoring) /* the first that is free */
{
    for (long id = TOOL_FIRST; id <= TOOL_LAST; id++) {
        if (done(PyObject_CallMethod(monitoring, "use_tool_id", "ls", id, "pymemtrace")) == 0) {
            tool = id;
            return 0;
        }
        if (id < TOOL_LAST && PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
        }
        else {
            break;
        }
    }
    return -1;
}

static int monitoring_remove(const pmt_recorder *r)
{
    PyObject *monitoring = module_of();
    pmt_exc saved = pmt_exc_save();
    (void)r; /* nobody can put another function in our place */
    if (monitoring != NULL && tool >= 0) {
        PyObject *all = PyObject_GetAttrString(monitoring, "events");
        /* Each step by itself: what an audit hook forbids stays, and does nothing. */
        if (done(PyObject_CallMethod(monitoring, "set_events", "li", tool, 0)) < 0) {
            PyErr_Clear();
        }
        for (size_t i = 0; all != NULL && i < EVENTS; i++) {
            PyObject *event = PyObject_GetAttrString(all, events[i].event);
            if (event == NULL ||
                done(PyObject_CallMethod(monitoring, "register_callback", "lOO", tool, event, Py_None)) < 0) {
                PyErr_Clear();
            }
            Py_XDECREF(event);
        }
        if (done(PyObject_CallMethod(monitoring, "free_tool_id", "l", tool)) < 0) {
            PyErr_Clear();
        }
        Py_XDECREF(all);
        tool = -1;
    }
    pmt_exc_restore(saved);
    return 0;
}

static int monitoring_retarget(pmt_recorder *r)
{
#define RECEIVED_NAMES(name, compute, log) {name##_of_python, name##_of_unwinding, name##_of_c},
    static const vectorcallfunc functions[PMT_WAYS][GROUPS] = {PMT_EACH_WAY(RECEIVED_NAMES)};
    for (size_t i = 0; i < EVENTS; i++) {
        ((receiver *)receivers[i])->call = functions[pmt_way_of(r)][events[i].of];
    }
    return 0;
}

static int monitoring_install(pmt_recorder *r)
{
    PyObject *monitoring = module_of(), *all;
    long mask = 0;
    if (monitoring == NULL || take_tool(monitoring) < 0) {
        return -1;
    }
    all = PyObject_GetAttrString(monitoring, "events");
    Py_XSETREF(missing, PyObject_GetAttrString(monitoring, "MISSING"));
    bool good = all != NULL && missing != NULL && monitoring_retarget(r) == 0;
    for (size_t i = 0; good && i < EVENTS; i++) {
        PyObject *event = PyObject_GetAttrString(all, events[i].event);
        long bit = event == NULL ? -1 : PyLong_AsLong(event);
        mask |= bit;
        good = bit >= 0 && done(PyObject_CallMethod(monitoring, "register_callback", "lOO", tool, event, receivers[i])) == 0;
        Py_XDECREF(event);
    }
    Py_XDECREF(all);
    if (!good || done(PyObject_CallMethod(monitoring, "set_events", "ll", tool, mask)) < 0) {
        monitoring_remove(NULL); /* keeps the exception */
        return -1;
    }
    return 0;
}

static int monitoring_forked(pmt_recorder *r)
{
    return r == NULL ? monitoring_remove(NULL) : monitoring_retarget(r);
}

static void monitoring_before_thread(void)
{
    /* sys.monitoring is told of all threads */
}

int pmt_monitoring_init(PyObject *module)
{
    (void)module;
    PyObject *type = receivers[0] == NULL ? PyType_FromSpec(&receiver_spec) : NULL;
    for (size_t i = 0; type != NULL && i < EVENTS; i++) {
        receiver *one = PyObject_New(receiver, (PyTypeObject *)type); /* keeps the type */
        if (one == NULL) {
            break;
        }
        one->kind = events[i].kind;
        one->call = unused;
        receivers[i] = (PyObject *)one;
    }
    Py_XDECREF(type);
    return receivers[EVENTS - 1] == NULL ? -1 : 0;
}

const pmt_engine pmt_monitoring_engine = {
    .name = "monitoring",
    .usable = monitoring_usable,
    .install = monitoring_install,
    .retarget = monitoring_retarget,
    .remove = monitoring_remove,
    .forked = monitoring_forked,
    .before_thread = monitoring_before_thread,
};
