/* DESIGN: os.environ is a mapping over a dict of bytes, `_data`, and the C library's environment. Both are written here
 * directly, so that no Python of the program's runs (audit hooks, signal handlers) while a recording starts or ends. */
#include "environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

#define VARIABLE "PYMEMTRACE"
#define PATH "PYTHONPATH"

static PyObject *os_module, *environ_type; /* owned, for the process's life */
static PyObject *hook;                     /* bytes: the folder for PYTHONPATH */

int pmt_environment_init(PyObject *module)
{
    if (hook != NULL) {
        return 0;
    }
    PyObject *file = PyModule_GetFilenameObject(module);
    PyObject *name = file == NULL ? NULL : PyUnicode_EncodeFSDefault(file);
    Py_XDECREF(file);
    if (name == NULL) {
        return -1;
    }
    const char *text = PyBytes_AS_STRING(name), *slash = strrchr(text, '/');
    hook = slash == NULL ? PyBytes_FromString(".") : PyBytes_FromStringAndSize(text, slash - text);
    Py_DECREF(name);
    PyBytes_ConcatAndDel(&hook, PyBytes_FromString("/hook"));
    os_module = PyImport_ImportModule("os");
    environ_type = os_module == NULL ? NULL : PyObject_GetAttrString(os_module, "_Environ");
    return hook == NULL || environ_type == NULL ? -1 : 0;
}

/* Of os.environ as it is now; new reference, NULL: it is something else, no exception. */
static PyObject *data_of_environ(void)
{
    PyObject *environ = PyObject_GetAttrString(os_module, "environ");
    PyObject *data = environ != NULL && (PyObject *)Py_TYPE(environ) == environ_type ? PyObject_GetAttrString(environ, "_data")
                                                                                      : NULL;
    Py_XDECREF(environ);
    if (data != NULL && !PyDict_CheckExact(data)) {
        Py_CLEAR(data);
    }
    PyErr_Clear();
    return data;
}

static PyObject *get(PyObject *data, const char *name) /* bytes, new reference; NULL: not set, no exception */
{
    PyObject *key = PyBytes_FromString(name), *value = key == NULL ? NULL : PyDict_GetItem(data, key);
    Py_XDECREF(key);
    PyErr_Clear();
    return value != NULL && PyBytes_CheckExact(value) ? pmt_ref(value) : NULL;
}

static int set(PyObject *data, const char *name, PyObject *value) /* NULL: not set any more. 0 or -errno, no exception */
{
    PyObject *key = PyBytes_FromString(name);
    int rc = key == NULL ? -1 : value != NULL ? PyDict_SetItem(data, key, value) : PyDict_DelItem(data, key);
    Py_XDECREF(key);
    PyErr_Clear();
    rc = rc < 0 ? rc : value == NULL ? unsetenv(name) : setenv(name, PyBytes_AS_STRING(value), 1);
    return rc < 0 ? -ENOMEM : 0;
}

static void put_quoted(FILE *f, const char *text) /* a word of a shell's */
{
    fputc('\'', f);
    for (; *text != '\0'; text++) {
        fputs(*text == '\'' ? "'\"'\"'" : (char[]){*text, '\0'}, f);
    }
    fputc('\'', f);
}

static PyObject *variable(const pmt_tracer *t) /* bytes, NULL: no memory */
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (f == NULL) {
        return NULL;
    }
    fwrite(PyBytes_AS_STRING(t->children), 1, (size_t)PyBytes_GET_SIZE(t->children), f);
    fputs(" -o ", f);
    put_quoted(f, t->template);
    fputs(" --beside ", f);
    put_quoted(f, t->first);
    fprintf(f, " --family %s", pmt_our_family.path);
    PyObject *value = fclose(f) == 0 ? PyBytes_FromStringAndSize(text, (Py_ssize_t)n) : NULL;
    free(text);
    return value;
}

/* Where the hook's folder is an entry of a path, "" is none; NULL: it is not. */
static const char *entry(const char *path)
{
    const char *folder = PyBytes_AS_STRING(hook);
    size_t n = strlen(folder);
    for (const char *p = path; (p = strstr(p, folder)) != NULL; p++) {
        if ((p == path || p[-1] == ':') && (p[n] == '\0' || p[n] == ':')) {
            return p;
        }
    }
    return NULL;
}

static PyObject *longer(PyObject *path) /* with the hook's folder, where it is not there; NULL: no memory */
{
    const char *text = path == NULL ? "" : PyBytes_AS_STRING(path);
    return text[0] == '\0'       ? pmt_ref(hook)
           : entry(text) != NULL ? pmt_ref(path)
                                 : PyBytes_FromFormat("%s:%s", PyBytes_AS_STRING(hook), text);
}

int pmt_environment_publish(pmt_tracer *t, const pmt_recorder *r)
{
    PyObject *data = data_of_environ();
    if (data == NULL) {
        return t->children == NULL ? 0 : -ENOTSUP;
    }
    pmt_exc saved = pmt_exc_save();
    bool wanted = t->children != NULL && pmt_our_family.path[0] != '\0' && r->options.has_file && !r->output.special;
    PyObject *ours = wanted ? variable(t) : NULL, *path = NULL;
    int rc = 0;
    t->variable_was = get(data, VARIABLE);
    t->python_path_was = get(data, PATH);
    if (ours != NULL) {
        path = longer(t->python_path_was);
        rc = path == NULL ? -ENOMEM : set(data, PATH, path);
        rc = rc < 0 ? rc : set(data, VARIABLE, ours);
    }
    else if (wanted) {
        rc = -ENOMEM;
    }
    else if (t->children != NULL) { /* a run whose first process has ended: its name for it does no harm */
        ours = t->variable_was == NULL ? NULL : pmt_ref(t->variable_was);
    }
    else if (t->variable_was != NULL) { /* an outer recording's, or whose --no-children this is */
        rc = set(data, VARIABLE, NULL);
    }
    PyErr_Clear();
    t->environ = data;
    t->variable = ours;
    t->python_path = path;
    pmt_exc_restore(saved);
    return rc;
}

static bool same(PyObject *a, PyObject *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b)) == 0;
}

/* What the program itself set meanwhile stays; our folder goes out of it. */
static void put_back_path(const pmt_tracer *t)
{
    PyObject *now = get(t->environ, PATH);
    const char *text = now == NULL ? NULL : PyBytes_AS_STRING(now), *at = text == NULL ? NULL : entry(text);
    if (same(now, t->python_path)) {
        set(t->environ, PATH, t->python_path_was);
    }
    else if (at != NULL && (t->python_path_was == NULL || entry(PyBytes_AS_STRING(t->python_path_was)) == NULL)) {
        const char *rest = at + PyBytes_GET_SIZE(hook);
        Py_ssize_t before = (at - text) - (at > text);
        rest += before == 0 && *rest == ':';
        PyObject *shorter = PyBytes_FromStringAndSize(text, before);
        PyBytes_ConcatAndDel(&shorter, PyBytes_FromString(rest));
        if (shorter != NULL) {
            set(t->environ, PATH, shorter);
        }
        Py_XDECREF(shorter);
    }
    Py_XDECREF(now);
}

void pmt_environment_withdraw(pmt_tracer *t)
{
    if (t->environ == NULL) {
        return;
    }
    pmt_exc saved = pmt_exc_save();
    PyObject *now = get(t->environ, VARIABLE);
    if (same(now, t->variable)) {
        set(t->environ, VARIABLE, t->variable_was);
    }
    if (t->python_path != NULL) {
        put_back_path(t);
    }
    Py_XDECREF(now);
    pmt_environment_forget(t);
    PyErr_Clear();
    pmt_exc_restore(saved);
}

void pmt_environment_inherit(pmt_tracer *t, pmt_tracer *outer)
{
    if (t->environ != NULL && outer->environ != NULL) {
        Py_XSETREF(t->variable_was, outer->variable_was);
        Py_XSETREF(t->python_path_was, outer->python_path_was);
        outer->variable_was = outer->python_path_was = NULL;
    }
}

void pmt_environment_forget(pmt_tracer *t)
{
    Py_CLEAR(t->environ);
    Py_CLEAR(t->variable);
    Py_CLEAR(t->variable_was);
    Py_CLEAR(t->python_path);
    Py_CLEAR(t->python_path_was);
}
