/* The floor that the recorder is measured against: a C profile function that does nothing, and one that only counts.
 *
 * start(count=False) installs it in this thread, stop() takes it out and returns the events counted (0 if not asked).
 * attach is for threading.setprofile(): a new thread calls it at its first event, and from then on has the C function.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static unsigned long long events;  /* under the GIL, as is */
static int counts;                 /* whether they are wanted */

static int
nothing(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int Py_UNUSED(what), PyObject *Py_UNUSED(arg))
{
    return 0;
}

static int
counting(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int Py_UNUSED(what), PyObject *Py_UNUSED(arg))
{
    events++;
    return 0;
}

static PyObject *
floor_start(PyObject *Py_UNUSED(module), PyObject *args)
{
    int count = 0;
    if (!PyArg_ParseTuple(args, "|p:start", &count)) {
        return NULL;
    }
    events = 0;
    counts = count;
    PyEval_SetProfile(counts ? counting : nothing, Py_None);
    Py_RETURN_NONE;
}

static PyObject *
floor_attach(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(frame_event_and_argument))
{
    events++; /* the one at which it is called */
    PyEval_SetProfile(counts ? counting : nothing, Py_None);
    Py_RETURN_NONE;
}

static PyObject *
floor_stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    PyEval_SetProfile(NULL, NULL);
    return PyLong_FromUnsignedLongLong(events);
}

static PyMethodDef methods[] = {
    {"start", floor_start, METH_VARARGS, PyDoc_STR("start(count=False): install the profile function.")},
    {"attach", floor_attach, METH_VARARGS, PyDoc_STR("attach(frame, event, argument): for threading.setprofile().")},
    {"stop", floor_stop, METH_NOARGS, PyDoc_STR("stop(): remove it; the number of events counted.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "pmt_floor", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_pmt_floor(void);

PyMODINIT_FUNC
PyInit_pmt_floor(void)
{
    return PyModule_Create(&module);
}
