#include "errors.h"

#include <errno.h>

PyObject *pmt_raise(int rc, const char *path)
{
    if (rc == -ENOMEM) {
        return PyErr_NoMemory();
    }
    PyObject *name = path == NULL ? NULL : PyUnicode_DecodeFSDefault(path);
    if (path != NULL && name == NULL) {
        return NULL;
    }
    errno = -rc;
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name); /* the subclass of the number: FileExistsError ... */
    Py_XDECREF(name);
    return NULL;
}

PyObject *pmt_os_error(int rc, const char *path)
{
    pmt_raise(rc == -ENOMEM ? -ENOBUFS : rc, path);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}
