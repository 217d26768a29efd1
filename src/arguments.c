#include "arguments.h"

#include <math.h>

#include "core/sampler.h"
#include "core/template.h"

int pmt_take_path(PyObject *value, PyObject **out)
{
    Py_CLEAR(*out);
    return value == NULL || value == Py_None || PyUnicode_FSConverter(value, out) ? 0 : -1;
}

int pmt_take_template(PyObject *value, PyObject **out)
{
    const char *bad;
    size_t n;
    int rc = pmt_take_path(value, out);
    PyObject *path = *out;
    if (rc < 0 || path == NULL || pmt_template_check(PyBytes_AS_STRING(path), &bad, &n) == 0) {
        return rc;
    }
    PyObject *what = PyUnicode_DecodeFSDefaultAndSize(bad, (Py_ssize_t)n);
    PyObject *whole = PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(path));
    if (what != NULL && whole != NULL) {
        bool brace = n == 1 && (*bad == '{' || *bad == '}');
        PyErr_Format(PyExc_ValueError, brace ? "a single %U in the path %R; a brace that is meant is written twice"
                                             : "unknown field {%U} in the path %R; there are " PMT_TEMPLATE_FIELDS, what, whole);
    }
    Py_XDECREF(what);
    Py_XDECREF(whole);
    return -1;
}

int pmt_take_seconds(PyObject *value, const char *name, bool zero, int64_t *ns)
{
    if (PyBool_Check(value) || !(PyFloat_Check(value) || PyIndex_Check(value))) {
        PyErr_Format(PyExc_TypeError, "%s must be a number of seconds, not %R", name, value);
        return -1;
    }
    double seconds = PyFloat_AsDouble(value);
    if (seconds == -1 && PyErr_Occurred()) {
        PyErr_Clear(); /* an int that no float can hold */
        seconds = INFINITY;
    }
    double least = PMT_LEAST_INTERVAL_NS / 1e9, most = PMT_MOST_INTERVAL_NS / 1e9;
    if (!((zero && seconds == 0) || (seconds >= least && seconds <= most))) { /* not a number: neither */
        PyErr_Format(PyExc_ValueError, "%s must be from 0.001 to 86400 seconds%s, not %R", name, zero ? " or 0" : "", value);
        return -1;
    }
    *ns = (int64_t)(seconds * 1e9 + 0.5);
    return 0;
}
