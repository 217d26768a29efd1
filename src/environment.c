#include "environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "member.h"

#define VARIABLE "PYMEMTRACE"

static PyObject *environ_of_os(void) /* new reference, NULL with an exception */
{
    PyObject *os = PyImport_ImportModule("os"), *environ = os == NULL ? NULL : PyObject_GetAttrString(os, "environ");
    Py_XDECREF(os);
    return environ;
}

static PyObject *hook_folder(void) /* str, beside the extension; NULL with an exception */
{
    PyObject *module = PyImport_ImportModule("pymemtrace.cPyMemTrace");
    PyObject *file = module == NULL ? NULL : PyObject_GetAttrString(module, "__file__"), *folder = NULL;
    Py_ssize_t slash = file == NULL ? -1 : PyUnicode_FindChar(file, '/', 0, PyUnicode_GetLength(file), -1);
    PyObject *parent = slash < 0 ? NULL : PyUnicode_Substring(file, 0, slash);
    if (parent != NULL) {
        folder = PyUnicode_FromFormat("%U/hook", parent);
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "the extension has no folder");
    }
    Py_XDECREF(parent);
    Py_XDECREF(file);
    Py_XDECREF(module);
    return folder;
}

static void put_quoted(FILE *f, const char *text) /* a word of a shell's */
{
    fputc('\'', f);
    for (; *text != '\0'; text++) {
        fputs(*text == '\'' ? "'\"'\"'" : (char[]){*text, '\0'}, f);
    }
    fputc('\'', f);
}

static PyObject *variable(const pmt_tracer *t) /* str, NULL with an exception */
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (f == NULL) {
        return PyErr_NoMemory();
    }
    fwrite(PyBytes_AS_STRING(t->children), 1, (size_t)PyBytes_GET_SIZE(t->children), f);
    fputs(" -o ", f);
    put_quoted(f, t->template);
    fputs(" --beside ", f);
    put_quoted(f, t->first);
    fprintf(f, " --family %s", pmt_our_family.path);
    PyObject *value = fclose(f) == 0 ? PyUnicode_DecodeFSDefaultAndSize(text, (Py_ssize_t)n) : PyErr_NoMemory();
    free(text);
    return value;
}

static PyObject *value_of(PyObject *environ, const char *name) /* new reference; NULL: not set, no exception */
{
    PyObject *value = PyMapping_GetItemString(environ, name);
    PyErr_Clear();
    return value;
}

static PyObject *joined(PyObject *folder, PyObject *path) /* folder:path, where it is not there already */
{
    if (path == NULL || !PyUnicode_Check(path) || PyUnicode_GetLength(path) == 0) {
        return pmt_ref(folder);
    }
    PyObject *both = PyUnicode_FromFormat("%U:%U", folder, path), *start = PyUnicode_FromFormat("%U:", folder);
    if (start == NULL || PyUnicode_Compare(path, folder) == 0 ||
        PyUnicode_Tailmatch(path, start, 0, PY_SSIZE_T_MAX, -1) == 1) {
        Py_XSETREF(both, start == NULL ? NULL : pmt_ref(path));
    }
    Py_XDECREF(start);
    return both;
}

int pmt_environment_publish(pmt_tracer *t)
{
    if (t->children == NULL || pmt_our_family.path[0] == '\0' || !t->options.has_file || t->recorder->output.special) {
        return 0;
    }
    pmt_exc saved = pmt_exc_save();
    PyObject *environ = environ_of_os(), *folder = environ == NULL ? NULL : hook_folder();
    PyObject *ours = folder == NULL ? NULL : variable(t), *path = NULL, *longer = NULL;
    int rc = ours == NULL ? -1 : 0;
    if (rc == 0) {
        t->variable_was = value_of(environ, VARIABLE);
        t->path_was = value_of(environ, "PYTHONPATH");
        path = t->path_was == NULL ? NULL : pmt_ref(t->path_was);
        longer = joined(folder, path);
        rc = longer == NULL || PyMapping_SetItemString(environ, "PYTHONPATH", longer) < 0 ||
                     PyMapping_SetItemString(environ, VARIABLE, ours) < 0
                 ? -1
                 : 0;
        Py_XSETREF(t->variable, pmt_ref(ours));
        Py_XSETREF(t->entry, pmt_ref(folder));
    }
    PyErr_Clear();
    Py_XDECREF(longer);
    Py_XDECREF(path);
    Py_XDECREF(ours);
    Py_XDECREF(folder);
    Py_XDECREF(environ);
    pmt_exc_restore(saved);
    return rc < 0 ? -EINVAL : 0;
}

static void put_back(PyObject *environ, const char *name, PyObject *before)
{
    int rc = before == NULL ? PyMapping_DelItemString(environ, name) : PyMapping_SetItemString(environ, name, before);
    if (rc < 0) {
        PyErr_Clear();
    }
}

/* What the program itself set meanwhile stays; our folder goes out of it. */
static void put_back_path(PyObject *environ, const pmt_tracer *t)
{
    PyObject *now = value_of(environ, "PYTHONPATH"), *ours = joined(t->entry, t->path_was), *start;
    if (now != NULL && ours != NULL && PyUnicode_Check(now)) {
        if (PyUnicode_Compare(now, ours) == 0) {
            put_back(environ, "PYTHONPATH", t->path_was);
        }
        else if ((start = PyUnicode_FromFormat("%U:", t->entry)) != NULL) {
            if (PyUnicode_Tailmatch(now, start, 0, PY_SSIZE_T_MAX, -1) == 1) {
                PyObject *rest = PyUnicode_Substring(now, PyUnicode_GetLength(start), PY_SSIZE_T_MAX);
                put_back(environ, "PYTHONPATH", rest);
                Py_XDECREF(rest);
            }
            Py_DECREF(start);
        }
    }
    PyErr_Clear();
    Py_XDECREF(ours);
    Py_XDECREF(now);
}

void pmt_environment_withdraw(pmt_tracer *t)
{
    if (t->variable == NULL) {
        return;
    }
    pmt_exc saved = pmt_exc_save();
    PyObject *environ = environ_of_os(), *now = environ == NULL ? NULL : value_of(environ, VARIABLE);
    if (now != NULL && PyUnicode_Check(now) && PyUnicode_Compare(now, t->variable) == 0) {
        put_back(environ, VARIABLE, t->variable_was);
    }
    if (environ != NULL) {
        put_back_path(environ, t);
    }
    PyErr_Clear();
    Py_XDECREF(now);
    Py_XDECREF(environ);
    Py_CLEAR(t->variable);
    Py_CLEAR(t->variable_was);
    Py_CLEAR(t->entry);
    Py_CLEAR(t->path_was);
    pmt_exc_restore(saved);
}
