/* recovery.c - capture_to_log() and recover(): core/convert.h and core/recover.h for Python. Without the GIL. */
#include "recovery.h"

#include <errno.h>

#include "core/convert.h"
#include "core/recover.h"
#include "errors.h"

const char pmt_to_log_doc[] = "capture_to_log(path, fd, log=\"all\", threshold=None, comments=True)\n--\n\n"
                              "Print a capture as a text log to the open descriptor fd. Returns the number of rows.\n\n"
                              "log: \"all\", \"threshold\" or \"previous\"; threshold: bytes, None: one page.\n"
                              "Raises ValueError for what is no capture, OSError where reading or writing fails.";

static PyObject *refuse(int rc, const char *path, const char *why) /* ValueError where the file is at fault */
{
    if (rc == -ENOMEM || why[0] == '\0' || (rc != -EBADMSG && rc != -ENOTSUP)) {
        return pmt_raise(rc, path);
    }
    PyObject *said = PyUnicode_DecodeFSDefault(why);
    if (said != NULL) {
        PyErr_SetObject(PyExc_ValueError, said);
        Py_DECREF(said);
    }
    return NULL;
}

PyObject *pmt_capture_to_log(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "fd", "log", "threshold", "comments", NULL};
    static const char *const logs[] = {"none", "all", "threshold", "previous"};
    PyObject *path, *threshold = Py_None;
    int fd, comments = 1, log = 0;
    const char *mode = "all";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&i|sOp:capture_to_log", names, PyUnicode_FSConverter, &path, &fd,
                                     &mode, &threshold, &comments)) {
        return NULL;
    }
    for (int i = PMT_LOG_ALL; i <= PMT_LOG_PREVIOUS; i++) {
        log = strcmp(mode, logs[i]) == 0 ? i : log;
    }
    unsigned long long bytes = threshold == Py_None ? 0 : PyLong_AsUnsignedLongLong(threshold);
    if (log == 0) {
        PyErr_Format(PyExc_ValueError, "log must be one of all, threshold, previous; it is '%s'", mode);
    }
    if (PyErr_Occurred()) {
        Py_DECREF(path);
        return NULL;
    }
    const char *name = PyBytes_AS_STRING(path);
    uint64_t rows = 0;
    pmt_reader reader;
    pmt_output output = {.fd.fd = fd, .special = true, .created = true};
    int rc, opened;
    Py_BEGIN_ALLOW_THREADS
    opened = rc = pmt_reader_open(&reader, name);
    if (rc == 0) {
        bool all = log == PMT_LOG_ALL || (log == PMT_LOG_THRESHOLD && threshold != Py_None && bytes == 0);
        uint64_t least = threshold == Py_None ? reader.page : bytes;
        rc = pmt_convert(&reader, &output, all ? PMT_LOG_ALL : (pmt_log)log, least, comments, &rows);
    }
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (rc == 0) {
        result = PyLong_FromUnsignedLongLong(rows);
    }
    else if (opened < 0) {
        refuse(rc, name, reader.why);
    }
    else {
        pmt_raise(rc, NULL);
    }
    pmt_reader_close(&reader);
    Py_DECREF(path);
    return result;
}

const char pmt_recover_doc[] = "recover(path)\n--\n\n"
                               "Put what the ring of a killed recording holds into its log or capture.\n\n"
                               "Returns {\"events\": number brought back, \"bytes\": growth of the file}, or None when there\n"
                               "was nothing to recover. Raises ValueError for damaged left-overs, OSError (EBUSY: the\n"
                               "process lives); then nothing was removed.";

PyObject *pmt_recover_file(PyObject *Py_UNUSED(module), PyObject *arg)
{
    PyObject *path;
    pmt_recovered found;
    int rc;
    if (!PyUnicode_FSConverter(arg, &path)) {
        return NULL;
    }
    const char *name = PyBytes_AS_STRING(path);
    Py_BEGIN_ALLOW_THREADS
    rc = pmt_recover(name, &found);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (rc == 1) {
        result = Py_None;
        Py_INCREF(result);
    }
    else if (rc == 0) {
        result = Py_BuildValue("{s:K,s:L}", "events", (unsigned long long)found.events, "bytes", (long long)found.bytes);
    }
    else if (found.why[0] == '\0') {
        pmt_raise(rc, name);
    }
    else if (rc == -EBADMSG || rc == -ENOTSUP) {
        refuse(rc, name, found.why);
    }
    else {
        PyObject *said = PyUnicode_DecodeFSDefault(found.why);
        PyObject *e = said == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iO", -rc, said);
        if (e != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(e), e);
        }
        Py_XDECREF(said);
        Py_XDECREF(e);
    }
    Py_DECREF(path);
    return result;
}
