#include "process.h"

pmt_recorder *pmt_active;
__thread uint32_t pmt_spawning __attribute__((tls_model("initial-exec")));
pmt_marked pmt_marks[PMT_PLACES];
PyCodeObject *pmt_hidden[PMT_PLACES];

static int mark_count, hidden_count;
static uint32_t generation;

static unsigned next_place(unsigned at)
{
    return (at + 1) & (PMT_PLACES - 1);
}

static void distrust_sites(void) /* each vouches for what was so when it was noted */
{
    for (pmt_recorder *r = pmt_active; r != NULL; r = r->outer) {
        pmt_sites_distrust(&r->sites);
    }
}

void pmt_mark_add(const PyMethodDef *def, pmt_mark mark)
{
    if (mark_count < PMT_MAX_MARKS && pmt_mark_find(def) == PMT_MARK_NONE) {
        unsigned at = pmt_mark_place(def);
        while (pmt_marks[at].def != NULL) {
            at = next_place(at);
        }
        pmt_marks[at] = (pmt_marked){def, mark};
        mark_count++;
        distrust_sites();
    }
}

pmt_mark pmt_mark_find(const PyMethodDef *def)
{
    for (unsigned at = pmt_mark_place(def); pmt_marks[at].def != NULL; at = next_place(at)) {
        if (pmt_marks[at].def == def) {
            return pmt_marks[at].mark;
        }
    }
    return PMT_MARK_NONE;
}

int pmt_hide(PyCodeObject *code)
{
    if (pmt_hidden_find(code)) {
        return 0;
    }
    if (hidden_count == PMT_MAX_HIDDEN) {
        PyErr_SetString(PyExc_RuntimeError, "too many hidden functions");
        return -1;
    }
    unsigned at = pmt_hidden_place(code);
    while (pmt_hidden[at] != NULL) {
        at = next_place(at);
    }
    Py_INCREF(code);
    pmt_hidden[at] = code;
    hidden_count++;
    distrust_sites();
    return 0;
}

bool pmt_hidden_find(const PyCodeObject *code)
{
    for (unsigned at = pmt_hidden_place(code); pmt_hidden[at] != NULL; at = next_place(at)) {
        if (pmt_hidden[at] == code) {
            return true;
        }
    }
    return false;
}

uint32_t pmt_next_generation(void)
{
    generation++;
    generation += generation == 0; /* 0 is an empty slot on a code object */
    return generation;
}

int pmt_call_at_exit(PyMethodDef *def, bool *done)
{
    if (!*done) {
        PyObject *atexit = PyImport_ImportModule("atexit"), *f = PyCFunction_New(def, NULL);
        PyObject *result = atexit == NULL || f == NULL ? NULL : PyObject_CallMethod(atexit, "register", "O", f);
        *done = result != NULL;
        Py_XDECREF(result);
        Py_XDECREF(f);
        Py_XDECREF(atexit);
    }
    return *done ? 0 : -1;
}

int pmt_process_init(void)
{
    static const struct {
        const char *module, *name;
        pmt_mark mark;
    } functions[] = {{"posix", "_exit", PMT_MARK_EXIT},
                     {"posix", "abort", PMT_MARK_EXIT},
                     {"posix", "execv", PMT_MARK_EXEC},
                     {"posix", "execve", PMT_MARK_EXEC},
                     {"posix", "fork", PMT_MARK_FORK},
                     {"posix", "forkpty", PMT_MARK_FORK},
                     {"posix", "unshare", PMT_MARK_ALONE}, /* 3.12 */
                     {"posix", "setns", PMT_MARK_ALONE},
                     {"_posixsubprocess", "fork_exec", PMT_MARK_SPAWN},
                     {"_thread", "start_new_thread", PMT_MARK_THREAD},
                     {"_thread", "start_new", PMT_MARK_THREAD},
                     {"_thread", "start_joinable_thread", PMT_MARK_THREAD}}; /* 3.13 */
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        PyObject *module = PyImport_ImportModule(functions[i].module);
        if (module == NULL) {
            return -1;
        }
        PyObject *f = PyObject_GetAttrString(module, functions[i].name);
        if (f != NULL && PyCFunction_Check(f)) {
            pmt_mark_add(((PyCFunctionObject *)f)->m_ml, functions[i].mark);
        }
        Py_XDECREF(f);
        Py_DECREF(module);
        PyErr_Clear();
    }
    return 0;
}
