/* DESIGN: a forked child goes on in the Tracer of its parent, with a recorder of its own made like the parent's, so that
 * nothing is measured or parsed again. A Python that the program starts finds our options in PYMEMTRACE, and first on
 * PYTHONPATH a folder whose sitecustomize joins the run (pymemtrace/hook). Both tell the run's first process what became
 * of them through the family. */
#include "children.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "threads.h"

#define VARIABLE "PYMEMTRACE"

pmt_family pmt_our_family;
__thread bool pmt_spawning __attribute__((tls_model("initial-exec")));

int pmt_children_enter(pmt_tracer *t)
{
    int rc = 0;
    if (t->family != NULL) {
        if (pmt_our_family.s == NULL) {
            (void)pmt_family_join(&pmt_our_family, PyBytes_AS_STRING(t->family)); /* gone: the root has ended */
        }
    }
    else if (t->children != NULL && pmt_our_family.s == NULL) {
        rc = pmt_family_create(&pmt_our_family);
    }
    pmt_family_enter(&pmt_our_family);
    return rc;
}

/* ---- the environment ---- */

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

int pmt_children_publish(pmt_tracer *t)
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

void pmt_children_withdraw(pmt_tracer *t)
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

/* ---- what the root is told ---- */

static void say(const pmt_tracer *t, pmt_member_state state, const char *reason)
{
    const char *path = !t->options.has_file  ? NULL
                       : t->recorder != NULL ? t->recorder->output.path
                                             : t->absolute;
    pmt_family_say(&pmt_our_family, state, path, reason);
}

void pmt_children_began(const pmt_recorder *r)
{
    if (r->outer == NULL) {
        say(r->owner, PMT_MEMBER_RECORDING, "");
    }
}

void pmt_children_ended(const pmt_recorder *r)
{
    if (r->outer == NULL && r->error == 0) {
        say(r->owner, PMT_MEMBER_ENDED, "");
    }
    else if (r->outer == NULL) {
        char reason[sizeof ((pmt_member *)0)->reason];
        snprintf(reason, sizeof reason, "%s: %s", r->error_where, strerror(-r->error));
        say(r->owner, PMT_MEMBER_FAILED, reason);
    }
}

void pmt_children_refused(const pmt_tracer *t)
{
    if (pmt_active != NULL && pmt_active->pid == (long)getpid()) {
        return; /* another recording of this process goes on */
    }
    pmt_exc saved = pmt_exc_save();
    PyObject *text = saved.value == NULL ? NULL : PyObject_Str(saved.value);
    const char *reason = text == NULL ? NULL : PyUnicode_AsUTF8(text);
    pmt_family_say(&pmt_our_family, PMT_MEMBER_REFUSED, t->absolute, reason == NULL ? "unknown" : reason);
    Py_XDECREF(text);
    PyErr_Clear();
    pmt_exc_restore(saved);
}

static const char *state_name(const pmt_member *m)
{
    static const char *const names[] = {[PMT_MEMBER_RECORDING] = "recording", [PMT_MEMBER_ENDED] = "ended",
                                        [PMT_MEMBER_FAILED] = "failed", [PMT_MEMBER_REFUSED] = "refused"};
    return m->state < sizeof names / sizeof *names && names[m->state] != NULL ? names[m->state] : "failed";
}

/* The next of the appended lines, *at behind it. false: no more. What is no such line is passed over. */
static bool next_line(char **at, unsigned *pid, unsigned *parent, char **reason)
{
    while (*at != NULL && **at != '\0') {
        char *line = *at, *end = strchr(line, '\n');
        int used = 0;
        *at = end == NULL ? line + strlen(line) : end + 1;
        if (end != NULL) {
            *end = '\0';
        }
        if (sscanf(line, "%u\t%u\t%n", pid, parent, &used) == 2 && used > 0) {
            *reason = line + used;
            return true;
        }
    }
    return false;
}

static int append_member(PyObject *list, const char *state, unsigned pid, unsigned parent, const char *path,
                         const char *reason, bool alive)
{
    PyObject *file = path[0] == '\0' ? pmt_ref(Py_None) : PyUnicode_DecodeFSDefault(path);
    PyObject *why = reason[0] == '\0' ? pmt_ref(Py_None) : PyUnicode_DecodeFSDefault(reason);
    PyObject *item = file == NULL || why == NULL ? NULL
                                                 : Py_BuildValue("(IIsOOO)", pid, parent, state, file, why,
                                                                 alive ? Py_True : Py_False);
    int rc = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    Py_XDECREF(why);
    Py_XDECREF(file);
    return rc;
}

PyObject *pmt_children_family(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    pmt_member m;
    if (!pmt_family_root(&pmt_our_family)) {
        Py_RETURN_NONE;
    }
    PyObject *list = PyList_New(0);
    char *lines = pmt_family_lines(&pmt_our_family), *line = lines, *reason;
    int rc = list == NULL ? -1 : 0;
    for (uint32_t at = 0; rc == 0 && pmt_family_next(&pmt_our_family, &at, &m);) {
        rc = append_member(list, state_name(&m), m.pid, m.parent, m.path, m.reason, pmt_family_alive(&m));
    }
    for (unsigned pid, parent; rc == 0 && next_line(&line, &pid, &parent, &reason);) {
        rc = append_member(list, "refused", pid, parent, "", reason, false);
    }
    free(lines);
    if (rc < 0) {
        Py_CLEAR(list);
    }
    return list;
}

PyObject *pmt_children_note(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *path, *reason;
    if (!PyArg_ParseTuple(args, "ss:family_note", &path, &reason)) {
        return NULL;
    }
    if (pmt_our_family.s == NULL && pmt_family_join(&pmt_our_family, path) < 0) {
        Py_RETURN_NONE; /* the root has ended: nobody asks any more */
    }
    pmt_family_enter(&pmt_our_family);
    pmt_family_say(&pmt_our_family, PMT_MEMBER_REFUSED, NULL, reason);
    Py_RETURN_NONE;
}

PyObject *pmt_children_end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    if (pmt_family_root(&pmt_our_family)) {
        pmt_family_remove(&pmt_our_family);
    }
    Py_RETURN_NONE;
}

char *pmt_children_footer(void)
{
    pmt_member m;
    char *text = NULL;
    size_t n = 0;
    FILE *f = pmt_family_root(&pmt_our_family) ? open_memstream(&text, &n) : NULL;
    if (f == NULL) {
        return NULL;
    }
    char *lines = pmt_family_lines(&pmt_our_family), *line = lines, *reason;
    for (uint32_t at = 0; pmt_family_next(&pmt_our_family, &at, &m);) {
        if (m.state == PMT_MEMBER_REFUSED) {
            fprintf(f, "not recorded: %u (parent %u): %s%s%s\n", m.pid, m.parent, m.path, m.path[0] == '\0' ? "" : ": ",
                    m.reason);
        }
    }
    for (unsigned pid, parent; next_line(&line, &pid, &parent, &reason);) {
        fprintf(f, "not recorded: %u (parent %u): %s\n", pid, parent, reason);
    }
    if (pmt_family_unnoted(&pmt_our_family) > 0) {
        fprintf(f, "not noted: %u further processes\n", (unsigned)pmt_family_unnoted(&pmt_our_family));
    }
    free(lines);
    if (fclose(f) != 0 || n == 0) {
        free(text);
        return NULL;
    }
    text[n - 1] = '\0'; /* the last line feed is not a line's beginning */
    return text;
}

/* ---- a forked child ---- */

static const char *not_recorded(const pmt_recorder *parent) /* why the child of its process is not, NULL: it is */
{
    const pmt_tracer *t = parent->owner;
    return parent->was != PMT_RUNNING && parent->was != PMT_PARKED ? ""
           : t->children == NULL || !parent->options.has_file    ? ""
           : parent->output.special                              ? "the output of its parent is no regular file"
                                                                 : NULL;
}

void pmt_children_forked(void)
{
    pmt_recorder *parent = pmt_active;
    if (parent == NULL || parent->pid == (long)getpid()) {
        return;
    }
    const char *why = pmt_spawning ? "" : not_recorded(parent);
    if (why != NULL || pmt_tracer_fork(parent->owner, parent) < 0) {
        if (why != NULL && why[0] != '\0') {
            pmt_family_enter(&pmt_our_family);
            pmt_family_say(&pmt_our_family, PMT_MEMBER_REFUSED, NULL, why);
        }
        if (pmt_engine_installed != NULL) {
            pmt_engine_installed->forked(NULL);
            pmt_engine_installed = NULL;
        }
    }
}
