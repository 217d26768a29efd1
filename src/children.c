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
            pmt_member_refused(NULL, why);
        }
        if (pmt_engine_installed != NULL) {
            pmt_engine_installed->forked(NULL);
            pmt_engine_installed = NULL;
        }
    }
}
