#include "reading.h"

#include <errno.h>
#include <string.h>

#include "errors.h"

PyObject *pmt_text_of(const char *bytes, size_t n) /* names are UTF-8 with surrogates, but for C names of any bytes */
{
    PyObject *s = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)n, "surrogatepass");
    if (s == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        s = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)n, "backslashreplace");
    }
    return s;
}

PyObject *pmt_why_text(const char *why, const char *path) /* names the path in any case */
{
    PyObject *text = PyUnicode_DecodeFSDefault(why);
    if (text == NULL || strstr(why, path) != NULL) {
        return text;
    }
    PyObject *name = PyUnicode_DecodeFSDefault(path);
    PyObject *whole = name == NULL ? NULL
                                   : PyUnicode_FromFormat(strncmp(why, "is ", 3) == 0 ? "%R %U" : "%R: %U", name, text);
    Py_XDECREF(name);
    Py_DECREF(text);
    return whole;
}

PyObject *pmt_why_of(const pmt_reader *r, const char *path)
{
    bool cut = r->why[0] != '\0';
    if (r->complete && !cut) {
        Py_RETURN_NONE;
    }
    return pmt_why_text(cut ? r->why : "is cut: it has no end", path);
}

PyObject *pmt_end_of(const pmt_reader *r)
{
    if (r->end_text == NULL) {
        Py_RETURN_NONE;
    }
    return pmt_text_of(r->end_text, r->end_len);
}

int pmt_reader_raise(int rc, const pmt_reader *r, const char *path) /* -1 with an exception */
{
    if (rc != -EBADMSG && rc != -ENOTSUP) {
        pmt_raise(rc, path);
        return -1;
    }
    PyObject *text = pmt_why_text(r->why[0] == '\0' ? "is no capture" : r->why, path);
    if (text != NULL) {
        PyErr_SetObject(PyExc_ValueError, text);
        Py_DECREF(text);
    }
    return -1;
}

int pmt_reader_start(pmt_reader *r, const char *path) /* 0; or -1 with an exception and r closed */
{
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = pmt_reader_open(r, path);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        pmt_reader_raise(rc, r, path);
        pmt_reader_close(r);
        return -1;
    }
    return 0;
}

PyObject *pmt_name_text(const pmt_dictionary *d, uint32_t id, bool function) /* as text logs show what is unknown */
{
    const pmt_name *name = pmt_names_at(&d->sites.names, id);
    if (name == NULL || (function && name->len == 0)) {
        return PyUnicode_FromString("<?>");
    }
    return pmt_text_of(name->bytes, name->len);
}

int pmt_site_names(const pmt_dictionary *d, uint32_t id, PyObject **file, PyObject **function)
{
    const pmt_function *f = pmt_dictionary_function(d, d->by_site[id].function);
    *file = pmt_name_text(d, f->file, false);
    *function = *file == NULL ? NULL : pmt_name_text(d, f->name, true);
    if (*function == NULL) {
        Py_CLEAR(*file);
        return -1;
    }
    return 0;
}

PyObject *pmt_one_of(PyObject *names, PyObject *text) /* takes text over; the object that was there first */
{
    PyObject *first = text == NULL ? NULL : PyDict_SetDefault(names, text, text);
    Py_XINCREF(first);
    Py_XDECREF(text);
    return first;
}
