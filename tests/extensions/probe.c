/* probe - what tests need of C: memory taken and given back inside one call, functions made on the heap, an empty
 * profile function, a native thread. Test code only; nothing of the package is used here. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_KEPT 4096
#define NAME_ROOM 64

static struct { char *at; size_t size; } kept[MAX_KEPT];
static int kept_count;

static size_t
page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Anonymous memory, one byte written on each page. NULL with an exception set on failure. */
static char *
take(Py_ssize_t pages)
{
    size_t size = (size_t)pages * page_size();
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    madvise(at, size, MADV_NOHUGEPAGE); /* page by page, or the counts are of huge pages */
    for (size_t i = 0; i < size; i += page_size()) {
        ((volatile char *)at)[i] = 1;
    }
    return at;
}

static int
keep_pages(Py_ssize_t pages)
{
    if (pages <= 0 || kept_count == MAX_KEPT) {
        PyErr_SetString(PyExc_ValueError, "pages or their number out of range");
        return -1;
    }
    char *at = take(pages);
    if (at == NULL) {
        return -1;
    }
    kept[kept_count].at = at;
    kept[kept_count++].size = (size_t)pages * page_size();
    return 0;
}

static PyObject *
keep(PyObject *Py_UNUSED(module), PyObject *pages)
{
    if (keep_pages(PyLong_AsSsize_t(pages)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
keep_and_raise(PyObject *Py_UNUSED(module), PyObject *pages)
{
    if (keep_pages(PyLong_AsSsize_t(pages)) == 0) {
        PyErr_SetString(PyExc_LookupError, "kept");
    }
    return NULL;
}

static PyObject *
drop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    if (kept_count == 0) {
        PyErr_SetString(PyExc_ValueError, "nothing kept");
        return NULL;
    }
    kept_count--;
    munmap(kept[kept_count].at, kept[kept_count].size);
    Py_RETURN_NONE;
}

/* Takes pages and gives them back: the difference of RSS around the call is 0. */
static PyObject *
temporary(PyObject *Py_UNUSED(module), PyObject *arg)
{
    Py_ssize_t pages = PyLong_AsSsize_t(arg);
    if (pages <= 0) {
        return PyErr_Format(PyExc_ValueError, "pages out of range");
    }
    char *at = take(pages);
    if (at == NULL) {
        return NULL;
    }
    munmap(at, (size_t)pages * page_size());
    Py_RETURN_NONE;
}

/* The same, then an exception. */
static PyObject *
temporary_and_raise(PyObject *module, PyObject *arg)
{
    PyObject *done = temporary(module, arg);
    if (done != NULL) {
        Py_DECREF(done);
        PyErr_SetString(PyExc_LookupError, "given back");
    }
    return NULL;
}

static PyObject *
nothing(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
    Py_RETURN_NONE;
}

/* A function whose PyMethodDef lies on the heap, as some binders make them. */
static PyObject *
make_function(PyObject *Py_UNUSED(module), PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL) {
        return NULL;
    }
    if (strlen(text) >= NAME_ROOM) {
        return PyErr_Format(PyExc_ValueError, "name too long");
    }
    struct { PyMethodDef def; char name[NAME_ROOM]; } *made = malloc(sizeof *made);
    if (made == NULL) {
        return PyErr_NoMemory();
    }
    strcpy(made->name, text);
    made->def = (PyMethodDef){made->name, nothing, METH_NOARGS, NULL};
    PyObject *function = PyCFunction_NewEx(&made->def, NULL, NULL);
    if (function == NULL) {
        free(made);
    }
    return function;
}

/* Frees the PyMethodDef of make_function(): the next one is likely to lie at the same address. The function must not
 * be called afterwards. */
static PyObject *
free_function(PyObject *Py_UNUSED(module), PyObject *function)
{
    if (!PyCFunction_Check(function)) {
        return PyErr_Format(PyExc_TypeError, "not a C function");
    }
    static PyMethodDef dead = {"dead", nothing, METH_NOARGS, NULL}; /* the object's own death still looks at it */
    free(((PyCFunctionObject *)function)->m_ml);
    ((PyCFunctionObject *)function)->m_ml = &dead;
    Py_RETURN_NONE;
}

static PyObject *
def_address(PyObject *Py_UNUSED(module), PyObject *function)
{
    if (!PyCFunction_Check(function)) {
        return PyErr_Format(PyExc_TypeError, "not a C function");
    }
    return PyLong_FromVoidPtr(((PyCFunctionObject *)function)->m_ml);
}

static int
empty_profile(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int Py_UNUSED(what),
              PyObject *Py_UNUSED(arg))
{
    return 0;
}

/* set_empty_profile(True): an empty profile function; False: none. What the interpreter itself does for profiling. */
static PyObject *
set_empty_profile(PyObject *Py_UNUSED(module), PyObject *on)
{
    int truth = PyObject_IsTrue(on);
    if (truth < 0) {
        return NULL;
    }
    PyEval_SetProfile(truth ? empty_profile : NULL, NULL);
    Py_RETURN_NONE;
}

/* call_from_thread(function): calls it in a native thread that Python did not start, and waits for the end. */
static void *
call_it(void *function)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *done = PyObject_CallNoArgs(function);
    if (done == NULL) {
        PyErr_WriteUnraisable(function);
    }
    Py_XDECREF(done);
    PyGILState_Release(state);
    return NULL;
}

static PyObject *
call_from_thread(PyObject *Py_UNUSED(module), PyObject *function)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, call_it, function);
    if (failed) {
        errno = failed;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_BEGIN_ALLOW_THREADS
    pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"keep", keep, METH_O, "keep(pages): take and touch pages, and keep them."},
    {"keep_and_raise", keep_and_raise, METH_O, "keep(pages), then LookupError."},
    {"drop", drop, METH_NOARGS, "Give the pages of the last keep() back."},
    {"temporary", temporary, METH_O, "temporary(pages): take, touch and give back."},
    {"temporary_and_raise", temporary_and_raise, METH_O, "temporary(pages), then LookupError."},
    {"make_function", make_function, METH_O, "A C function of this name with its PyMethodDef on the heap."},
    {"free_function", free_function, METH_O, "Free the PyMethodDef of make_function()."},
    {"def_address", def_address, METH_O, "Address of a C function's PyMethodDef."},
    {"set_empty_profile", set_empty_profile, METH_O, "Install or remove an empty profile function."},
    {"call_from_thread", call_from_thread, METH_O, "Call a function in a native thread."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "probe", "What the tests need of C.", -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit_probe(void)
{
    return PyModule_Create(&definition);
}
