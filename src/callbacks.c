/* DESIGN: the engine on CPython's profile function, one callback for each way to record (event.h).
 *
 * The hook object is what sys.getprofile() shows. A program that saves and restores it makes CPython call it as a
 * Python profile function: it then records that event and puts the C callback back. */
#include "event.h"

#include <stdlib.h>

static PyObject *hook; /* the profile object of all threads; made once, for the process's life */

static const uint8_t kinds[] = {[PyTrace_CALL] = PMT_CALL, [PyTrace_RETURN] = PMT_RETURN,
                                [PyTrace_C_CALL] = PMT_C_CALL, [PyTrace_C_RETURN] = PMT_C_RETURN,
                                [PyTrace_C_EXCEPTION] = PMT_C_EXCEPT};

static PyObject *threading_before; /* owned; threading's hook before us, NULL: not touched */

/* Where the program imported threading after our start: in the callback, hence by look-ups in dictionaries alone. */
static void profile_before_thread(void)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *threading = modules == NULL ? NULL : PyDict_GetItemString(modules, "threading");
    if (threading_before == NULL && threading != NULL && PyModule_Check(threading)) {
        PyObject *names = PyModule_GetDict(threading);
        if (PyDict_GetItemString(names, "_profile_hook") == Py_None &&
            PyDict_SetItemString(names, "_profile_hook", hook) == 0) {
            Py_INCREF(Py_None);
            threading_before = Py_None;
        }
        PyErr_Clear();
    }
}

#define CALLBACK(name, compute, log)                                                                    \
    static int name(PyObject *self, PyFrameObject *frame, int what, PyObject *arg)                      \
    {                                                                                                   \
        (void)self;                                                                                     \
        const PyMethodDef *def = kinds[what] >= PMT_C_CALL ? pmt_c_function(arg) : NULL;                \
        pmt_on_event(pmt_place_of(frame), (pmt_kind)kinds[what], def, compute, log);                    \
        return 0; /* anything else becomes an exception */                                              \
    }

PMT_EACH_WAY(CALLBACK)

static Py_tracefunc callback_of(const pmt_recorder *r)
{
#define CALLBACK_NAME(name, compute, log) name,
    static const Py_tracefunc callbacks[PMT_WAYS] = {PMT_EACH_WAY(CALLBACK_NAME)};
    return callbacks[pmt_way_of(r)];
}

static bool is_ours(const PyThreadState *t)
{
    return t->c_profileobj == hook;
}

/* ---- the hook object ---- */

/* From 3.12 on a new thread's first event is the return of the sys.setprofile() by which threading installed us. */
static bool begins_thread(const pmt_recorder *r, const char *what, PyObject *arg)
{
    return strcmp(what, "c_return") == 0 && PyCFunction_Check(arg) &&
           strcmp(pmt_c_function(arg)->ml_name, "setprofile") == 0 &&
           (pmt_thread_here == NULL || pmt_thread_here->generation != r->generation);
}

static PyObject *hook_call(PyObject *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    static const char *const names[] = {[PyTrace_CALL] = "call", [PyTrace_RETURN] = "return",
                                        [PyTrace_C_CALL] = "c_call", [PyTrace_C_RETURN] = "c_return",
                                        [PyTrace_C_EXCEPTION] = "c_exception"};
    PyObject *frame, *arg;
    const char *what;
    if (!PyArg_ParseTuple(args, "O!sO:hook", &PyFrame_Type, &frame, &what, &arg)) {
        return NULL;
    }
    pmt_recorder *r = pmt_active;
    Py_tracefunc callback = r == NULL || r->state == PMT_OFF ? NULL : callback_of(r);
    if (PyThreadState_Get()->c_profileobj == self) {
        PyEval_SetProfile(callback, callback == NULL ? NULL : self);
    }
    if (callback != NULL && begins_thread(r, what, arg)) {
        callback = NULL;
    }
    for (int i = PyTrace_CALL; callback != NULL && i <= PyTrace_C_RETURN; i++) {
        if (names[i] != NULL && strcmp(names[i], what) == 0 && (i < PyTrace_C_CALL || PyCFunction_Check(arg))) {
            callback(self, (PyFrameObject *)frame, i, arg);
        }
    }
    Py_RETURN_NONE;
}

static PyType_Slot hook_slots[] = {
    {Py_tp_call, hook_call},
    {Py_tp_doc, "What sys.getprofile() shows while a recording runs; to be given back to sys.setprofile()."},
    {0, NULL},
};

static PyType_Spec hook_spec = {
    .name = "pymemtrace.cPyMemTrace.ProfileHook",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = hook_slots,
};

int pmt_callbacks_init(PyObject *module)
{
    (void)module;
    if (hook == NULL) {
        PyObject *type = PyType_FromSpec(&hook_spec);
        hook = type == NULL ? NULL : PyObject_CallObject(type, NULL);
        Py_XDECREF(type); /* the object keeps it */
    }
    return hook == NULL ? -1 : 0;
}

/* ---- install and remove ---- */

/* What each thread had before us, to put it back. */
typedef struct before {
    struct before *next;
    uint64_t thread;
    Py_tracefunc function;
    PyObject *object; /* owned */
} before;

static before *befores;

static int remember(PyThreadState *t)
{
    if (t->c_profilefunc != NULL) {
        before *b = malloc(sizeof *b);
        if (b == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        Py_XINCREF(t->c_profileobj);
        *b = (before){befores, PyThreadState_GetID(t), t->c_profilefunc, t->c_profileobj};
        befores = b;
    }
    return 0;
}

static before *remembered(PyThreadState *t) /* taken out of the list, NULL: it had none */
{
    for (before **at = &befores; *at != NULL; at = &(*at)->next) {
        if ((*at)->thread == PyThreadState_GetID(t)) {
            before *b = *at;
            *at = b->next;
            return b;
        }
    }
    return NULL;
}

static void forget(before *b)
{
    if (b != NULL) {
        Py_XDECREF(b->object);
        free(b);
    }
}

static int hook_threading(bool on)
{
    PyObject *name = PyUnicode_FromString("threading"), *threading = name == NULL ? NULL : PyImport_GetModule(name);
    Py_XDECREF(name);
    if (threading == NULL) {
        return PyErr_Occurred() ? -1 : 0; /* not imported: see profile_before_thread */
    }
    int rc = 0;
    PyObject *now = PyObject_GetAttrString(threading, "_profile_hook");
    if (on && now != hook) {
        Py_XSETREF(threading_before, now);
        now = NULL;
        rc = PyObject_SetAttrString(threading, "_profile_hook", hook);
    }
    else if (!on) {
        PyObject *back = threading_before == NULL ? Py_None : threading_before;
        rc = now == hook ? PyObject_SetAttrString(threading, "_profile_hook", back) : 0;
        Py_CLEAR(threading_before);
    }
    Py_XDECREF(now);
    Py_DECREF(threading);
    return rc;
}

static PyThreadState *first_thread(void)
{
    return PyInterpreterState_ThreadHead(PyInterpreterState_Get());
}

static int give_back(PyThreadState *t)
{
    before *b = remembered(t);
    int rc = b == NULL ? pmt_set_profile(t, NULL, NULL) : pmt_set_profile(t, b->function, b->object);
    forget(b);
    return rc;
}

static int profile_remove(const pmt_recorder *r)
{
    int others = 0;
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (is_ours(t)) {
            if (give_back(t) < 0) {
                PyErr_Clear(); /* an audit hook says no: the callback stays and does nothing */
            }
        }
        else {
            others += t->c_profilefunc != NULL || (r != NULL && pmt_thread_known(r, PyThreadState_GetID(t)));
        }
    }
    while (befores != NULL) { /* threads that ended, or were given another function meanwhile */
        before *next = befores->next;
        forget(befores);
        befores = next;
    }
    if (hook_threading(false) < 0) {
        PyErr_Clear();
    }
    return others;
}

static int profile_install(pmt_recorder *r)
{
    Py_tracefunc callback = callback_of(r);
    if (hook_threading(true) < 0) {
        return -1;
    }
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (remember(t) < 0 || pmt_set_profile(t, callback, hook) < 0) {
            pmt_exc saved = pmt_exc_save();
            profile_remove(NULL);
            pmt_exc_restore(saved);
            return -1;
        }
    }
    return 0;
}

static int profile_retarget(pmt_recorder *r)
{
    Py_tracefunc callback = callback_of(r);
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (is_ours(t) && t->c_profilefunc != callback && pmt_set_profile(t, callback, hook) < 0) {
            return -1;
        }
    }
    return 0;
}

static int profile_forked(pmt_recorder *r)
{
    PyThreadState *here = PyThreadState_Get();
    if (r != NULL && here->c_profilefunc == NULL) { /* a thread that was not seen; it is all there is now */
        return pmt_set_profile(here, callback_of(r), hook);
    }
    if (r == NULL && is_ours(here)) {
        profile_remove(NULL);
    }
    return r == NULL ? 0 : profile_retarget(r);
}

static const char *always(void)
{
    return NULL;
}

const pmt_engine pmt_profile_engine = {
    .name = "profile",
    .usable = always,
    .install = profile_install,
    .retarget = profile_retarget,
    .remove = profile_remove,
    .forked = profile_forked,
    .before_thread = profile_before_thread,
};
