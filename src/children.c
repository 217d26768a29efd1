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

#include "member.h"
#include "process.h"
#include "threads.h"

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

void pmt_children_refused(const pmt_tracer *t)
{
    pmt_exc saved = pmt_exc_save();
    PyObject *text = saved.value == NULL ? NULL : PyObject_Str(saved.value);
    const char *reason = text == NULL ? NULL : PyUnicode_AsUTF8(text);
    pmt_member_refused(t->absolute, reason == NULL ? "unknown" : reason);
    Py_XDECREF(text);
    PyErr_Clear();
    pmt_exc_restore(saved);
}

static const char *state_name(const pmt_member *m)
{
    static const char *const names[] = {[PMT_MEMBER_BEGINNING] = "beginning",
                                        [PMT_MEMBER_RECORDING] = "recording", [PMT_MEMBER_ENDED] = "ended",
                                        [PMT_MEMBER_FAILED] = "failed", [PMT_MEMBER_REFUSED] = "refused"};
    return m->state < sizeof names / sizeof *names && names[m->state] != NULL ? names[m->state] : "failed";
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
    for (unsigned pid, parent; rc == 0 && pmt_family_next_line(&line, &pid, &parent, &reason);) {
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

/* ---- a forked child ---- */

static const char *not_recorded(const pmt_recorder *parent) /* why the child of its process is not, NULL: it is */
{
    const pmt_tracer *t = parent->owner;
    bool failed = parent->was == PMT_FAILED && parent->error != -PMT_E_NO_THREAD; /* which is of the parent alone */
    return parent->was == PMT_OFF                                  ? ""
           : t->children == NULL || !parent->options.has_file    ? ""
           : failed                                              ? "the recording of its parent had stopped"
           : parent->was == PMT_SUSPENDED                        ? "its parent was about to begin another recording"
           : parent->output.special                              ? "the output of its parent is no regular file"
                                                                 : NULL;
}

void pmt_children_forked(void)
{
    pmt_recorder *parent = pmt_active;
    if (parent == NULL || parent->pid == (long)getpid()) {
        return;
    }
    const char *why = pmt_spawning == parent->generation ? "" : not_recorded(parent);
    if (why != NULL || pmt_tracer_fork(parent->owner, parent) < 0) {
        if (why != NULL && why[0] != '\0') {
            pmt_member_refused(NULL, why);
        }
        if (pmt_engine_installed != NULL) {
            pmt_engine_installed->forked(NULL);
            pmt_engine_installed = NULL;
        }
    }
}
