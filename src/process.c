#include "process.h"

pmt_recorder *pmt_active;
uint64_t pmt_mark_bits;
uint64_t pmt_hidden_bits[16];

static struct {
    const PyMethodDef *def;
    pmt_mark mark;
} marks[PMT_MAX_MARKS];
static int mark_count;
static PyCodeObject *hidden[PMT_MAX_HIDDEN]; /* owned, for the process's life */
static int hidden_count;
static uint32_t generation;

void pmt_mark_add(const PyMethodDef *def, pmt_mark mark)
{
    if (mark_count < PMT_MAX_MARKS && pmt_mark_find(def) == PMT_MARK_NONE) {
        marks[mark_count].def = def;
        marks[mark_count].mark = mark;
        mark_count++;
        pmt_mark_bits |= pmt_mark_bit(def);
    }
}

pmt_mark pmt_mark_find(const PyMethodDef *def)
{
    for (int i = 0; i < mark_count; i++) {
        if (marks[i].def == def) {
            return marks[i].mark;
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
    Py_INCREF(code);
    unsigned bit = pmt_hidden_bit(code);
    hidden[hidden_count++] = code;
    pmt_hidden_bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
    return 0;
}

bool pmt_hidden_find(const PyCodeObject *code)
{
    for (int i = 0; i < hidden_count; i++) {
        if (hidden[i] == code) {
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
