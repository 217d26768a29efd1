#include "fork.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "children.h"
#include "process.h"
#include "samplers.h"

static void in_child(void) /* any thread, perhaps no Python: only stores */
{
    pmt_recorder_forked(pmt_active);
    pmt_samplers_forked();
}

static PyObject *before_fork(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    pmt_recorder_park(pmt_active);
    pmt_samplers_before_fork();
    Py_RETURN_NONE;
}

/* From now on any later event may bring the writer back; the return of the fork itself does so at once. Not here: 3.12
 * and 3.13 look for a second thread after this hook. */
static PyObject *after_in_parent(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    for (pmt_recorder *r = pmt_active; r != NULL; r = r->outer) {
        r->parked_at = pmt_clock_ticks(&r->clock);
    }
    pmt_samplers_after_fork();
    Py_RETURN_NONE;
}

static PyObject *after_in_child(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args))
{
    pmt_children_forked();
    Py_RETURN_NONE;
}

static PyMethodDef hooks[] = {
    {"before", before_fork, METH_NOARGS, NULL},
    {"after_in_parent", after_in_parent, METH_NOARGS, NULL},
    {"after_in_child", after_in_child, METH_NOARGS, NULL},
};

int pmt_fork_init(void)
{
    static bool done; /* neither kind of hook can be taken back */
    if (done) {
        return 0;
    }
    int rc = -1;
    PyObject *os = PyImport_ImportModule("os"), *kwargs = PyDict_New(), *args = PyTuple_New(0), *result = NULL;
    PyObject *hook = os == NULL ? NULL : PyObject_GetAttrString(os, "register_at_fork");
    if (kwargs == NULL || args == NULL || hook == NULL) {
        goto done;
    }
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        PyObject *f = PyCFunction_New(&hooks[i], NULL);
        if (f == NULL || PyDict_SetItemString(kwargs, hooks[i].ml_name, f) < 0) {
            Py_XDECREF(f);
            goto done;
        }
        Py_DECREF(f);
    }
    result = PyObject_Call(hook, args, kwargs);
    if (result != NULL && (errno = pthread_atfork(NULL, NULL, in_child)) != 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    else if (result != NULL) {
        done = true;
        rc = 0;
    }
done:
    Py_XDECREF(result);
    Py_XDECREF(hook);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(os);
    return rc;
}
