/* DESIGN: `python SCRIPT` evaluates the script with no frame beneath it. So do we: the frames of the launcher are put
 * out of sight, the recursion they used is given back, and when the program is over the interpreter is finalized from
 * right there, so that the launcher's frames never return: no event, no line of a traceback is ours.
 *
 * The recording ends in an atexit function registered before the program could register any: it runs last. */
#include "launcher.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "sampler_type.h"
#include "tracer.h"

static PyObject *at_end_function; /* owned; for the one call at the end */
static PyObject *at_end_what;     /* owned: a Tracer or a Sampler */
static bool at_end_of_tracer;     /* it is a Tracer */
static pid_t at_end_pid;

static PyObject *call(PyObject *target, PyObject *namespace)
{
    if (PyCode_Check(target)) { /* without a frame beneath, 3.9 would find no builtins */
        if (PyDict_GetItemString(namespace, "__builtins__") == NULL &&
            PyDict_SetItemString(namespace, "__builtins__", PyEval_GetBuiltins()) < 0) {
            return NULL;
        }
        return PyEval_EvalCode(target, namespace, namespace);
    }
    return PyObject_Call(target, namespace, NULL);
}

static bool fitting(PyObject *target, PyObject *namespace)
{
    if (PyCode_Check(target) ? PyDict_Check(namespace) : PyCallable_Check(target) && PyTuple_Check(namespace)) {
        return true;
    }
    PyErr_SetString(PyExc_TypeError, "needs a code object and a dict, or a callable and a tuple");
    return false;
}

PyObject *pmt_bare_call(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *target, *namespace;
    if (!PyArg_ParseTuple(args, "OO:bare_call", &target, &namespace) || !fitting(target, namespace)) {
        return NULL;
    }
    PyThreadState *thread = PyThreadState_Get();
    pmt_bare saved = pmt_bare_enter(thread);
    PyObject *result = call(target, namespace);
    pmt_bare_leave(thread, saved);
    return result;
}

static int is_a(PyObject *what, const char *name) /* of a type of ours; -1 with an exception */
{
    PyObject *own = PyImport_ImportModule("pymemtrace.cPyMemTrace");
    PyObject *type = own == NULL ? NULL : PyObject_GetAttrString(own, name);
    int is = type == NULL ? -1 : PyObject_IsInstance(what, type);
    Py_XDECREF(type);
    Py_XDECREF(own);
    return is;
}

static int start(PyObject *what, bool tracer) /* 0, or -1 with an exception */
{
    return tracer ? pmt_tracer_start((pmt_tracer *)what) : pmt_sampling_start((pmt_sampling *)what);
}

static void stop(PyObject *what, bool tracer)
{
    if (tracer) {
        pmt_tracer_stop((pmt_tracer *)what);
    }
    else {
        pmt_sampling_stop((pmt_sampling *)what);
    }
}

static PyObject *at_exit(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    PyObject *what = at_end_what, *function = at_end_function, *result;
    at_end_what = at_end_function = NULL;
    if (what != NULL) {
        stop(what, at_end_of_tracer);
    }
    if (function != NULL && at_end_pid == getpid()) { /* a forked child has nothing to say */
        result = PyObject_CallObject(function, NULL);
        if (result == NULL) {
            PyErr_WriteUnraisable(function);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(function);
    Py_XDECREF(what);
    Py_RETURN_NONE;
}

static PyMethodDef at_exit_def = {"end_of_recording", at_exit, METH_NOARGS, NULL};

static int register_at_exit(PyObject *what, bool tracer, PyObject *function)
{
    PyObject *atexit = PyImport_ImportModule("atexit");
    PyObject *f = PyCFunction_New(&at_exit_def, NULL);
    PyObject *result = atexit == NULL || f == NULL ? NULL : PyObject_CallMethod(atexit, "register", "O", f);
    Py_XDECREF(f);
    Py_XDECREF(atexit);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    Py_INCREF(what);
    Py_INCREF(function);
    at_end_what = what;
    at_end_of_tracer = tracer;
    at_end_function = function;
    at_end_pid = getpid();
    return 0;
}

static void interrupt(void)
{
    PyOS_setsig(SIGINT, SIG_DFL);
    kill(getpid(), SIGINT);
}

/* As the interpreter does: a shell has to see who was interrupted. It kills itself when Python is finalized, before any
 * function of C's atexit(): the last one registered is called first. Py_Exit, since Py_FinalizeEx alone does not tell 3.13
 * and later that `__main__` has ended, of which their debug builds make an assertion. */
static void end_by_interrupt(void)
{
    atexit(interrupt);
    Py_Exit(SIGINT + 128); /* of a process that blocks the signal */
}

/* The caller never gets its arguments back. What it holds would keep the program's objects alive at the end, and their
 * __del__ would not be called. */
static void let_go(PyObject *args)
{
    for (Py_ssize_t i = 0; i < 2; i++) {
        PyObject *old = PyTuple_GET_ITEM(args, i);
        Py_INCREF(Py_None);
        PyTuple_SET_ITEM(args, i, Py_None);
        Py_DECREF(old);
    }
}

static void forget_file(void) /* as the interpreter does when a script has ended; before 3.14 not by SystemExit */
{
    static const char *const names[] = {"__file__", "__cached__"};
    PyObject *main = PyImport_AddModule("__main__"), *dict = main == NULL ? NULL : PyModule_GetDict(main);
    for (size_t i = 0; i < 2; i++) {
        if (dict == NULL || PyDict_DelItemString(dict, names[i]) < 0) {
            PyErr_Clear();
        }
    }
}

static void flush_output(void) /* as the interpreter does when a script has ended */
{
    static const char *const names[] = {"stderr", "stdout"};
    for (size_t i = 0; i < 2; i++) {
        PyObject *file = PySys_GetObject(names[i]), *result = NULL;
        if (file != NULL) {
            Py_INCREF(file); /* its flush() may be the program's, and replace it */
            result = PyObject_CallMethod(file, "flush", NULL);
            Py_DECREF(file);
        }
        Py_XDECREF(result);
        PyErr_Clear();
    }
}

PyObject *pmt_run_main(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *target, *namespace, *what, *at_end;
    if (!PyArg_ParseTuple(args, "OOOO:run_main", &target, &namespace, &what, &at_end) || !fitting(target, namespace)) {
        return NULL;
    }
    int tracer = is_a(what, "Tracer"), sampler = tracer == 0 ? is_a(what, "Sampler") : 0;
    if (tracer <= 0 && sampler <= 0) {
        if (tracer == 0 && sampler == 0) {
            PyErr_SetString(PyExc_TypeError, "run_main() needs a Tracer or a Sampler");
        }
        return NULL;
    }
    if (register_at_exit(what, tracer > 0, at_end) < 0) {
        return NULL;
    }
    Py_INCREF(target);
    Py_INCREF(namespace);
    pmt_bare saved = pmt_bare_enter(PyThreadState_Get());
    if (start(what, tracer > 0) < 0) { /* the caller says what was wrong */
        pmt_bare_leave(PyThreadState_Get(), saved);
        Py_CLEAR(at_end_what);
        Py_CLEAR(at_end_function);
        Py_DECREF(target);
        Py_DECREF(namespace);
        return NULL;
    }
    let_go(args);
    int status = 0;
    bool script = PyCode_Check(target) && PyDict_GetItemString(namespace, "__file__") != NULL;
    PyObject *result = call(target, namespace);
    Py_DECREF(target);
    Py_DECREF(namespace); /* from here on `__main__` alone keeps it */
    if (result == NULL) {
        bool interrupted = pmt_is_interrupt(PyErr_Occurred());
        if (script) {
            pmt_exc pending = pmt_exc_save();
            flush_output();
            if (PMT_FORGETS_FILE_FIRST) {
                forget_file();
            }
            pmt_exc_restore(pending);
        }
        PyErr_PrintEx(1); /* SystemExit ends the process here */
        if (interrupted) {
            end_by_interrupt();
        }
        status = 1;
    }
    Py_XDECREF(result);
    if (script) {
        forget_file();
    }
    Py_Exit(status);
}
