#include "errors.h"

#include <errno.h>

#include "core/background.h"

void pmt_raise_saying(int number, PyObject *sentence, const char *path)
{
    PyObject *file = sentence == NULL ? NULL : path == NULL ? pmt_ref(Py_None) : PyUnicode_DecodeFSDefault(path);
    PyObject *e = file == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iOO", number, sentence, file);
    if (e != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    }
    Py_XDECREF(e);
    Py_XDECREF(file);
    Py_XDECREF(sentence);
}

PyObject *pmt_raise(int rc, const char *path)
{
    if (rc == -ENOMEM) {
        return PyErr_NoMemory();
    }
    if (rc == -PMT_E_NO_THREAD) {
        pmt_raise_saying(EINVAL, PyUnicode_FromString(pmt_error_text(rc)), path);
        return NULL;
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
