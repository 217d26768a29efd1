/* compat.h - the only file that tests PY_VERSION_HEX: one meaning for what CPython 3.9 to 3.15 spell differently. */
#ifndef PMT_COMPAT_H
#define PMT_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#if PY_VERSION_HEX < 0x03090000
#error "pymemtrace needs CPython 3.9 or later"
#endif

/* What is on the way of every event; the compiler's own limit would leave it out of line. */
#define PMT_INLINE static inline __attribute__((always_inline))

static inline PyObject *pmt_ref(PyObject *o) /* Py_NewRef came with 3.10 */
{
    Py_INCREF(o);
    return o;
}

/* 3.11 made frames opaque. */
#if PY_VERSION_HEX >= 0x030B0000
static inline PyCodeObject *pmt_frame_code(PyFrameObject *frame) /* borrowed: the frame keeps it */
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    Py_DECREF(code);
    return code;
}
static inline int pmt_frame_offset(PyFrameObject *frame) /* -1: not begun */
{
    return PyFrame_GetLasti(frame);
}
#else
static inline PyCodeObject *pmt_frame_code(PyFrameObject *frame)
{
    return frame->f_code;
}
static inline int pmt_frame_offset(PyFrameObject *frame)
{
    return frame->f_lasti; /* 3.9 in bytes, 3.10 in instructions: only equality counts */
}
#endif

/* 3.12 renamed the code object's extra slots (gh-101578 family); the old names are gone in 3.14. */
#if PY_VERSION_HEX >= 0x030C0000
#define pmt_code_extra_index PyUnstable_Eval_RequestCodeExtraIndex
#define pmt_code_get_extra PyUnstable_Code_GetExtra
#define pmt_code_set_extra PyUnstable_Code_SetExtra
#else
#define pmt_code_extra_index _PyEval_RequestCodeExtraIndex
#define pmt_code_get_extra _PyCode_GetExtra
#define pmt_code_set_extra _PyCode_SetExtra
#endif

/* One thread's profile function, set from another thread under the GIL. 3.13 moved the prototype out of the public
 * headers; the symbol is exported by all of 3.9 to 3.15. */
#if PY_VERSION_HEX >= 0x030D0000
extern int _PyEval_SetProfile(PyThreadState *tstate, Py_tracefunc func, PyObject *arg);
#endif
#define pmt_set_profile _PyEval_SetProfile /* 0, or -1 with an exception (an audit hook's) */

/* The frames below a call, put out of sight and back: the program is to find nothing beneath its own first frame. */
typedef struct pmt_bare {
    void *frame;
    int used;   /* recursion that was spent */
    int c_used; /* and of C's own count, which 3.12 and 3.13 have */
} pmt_bare;

#if PY_VERSION_HEX >= 0x030F0000 /* 3.15: a frame of the thread's own lies beneath all others */
#define PMT_NO_FRAME(t) ((t)->base_frame)
#else
#define PMT_NO_FRAME(t) NULL
#endif
#if PY_VERSION_HEX >= 0x030D0000
#define PMT_TOP_FRAME(t) ((t)->current_frame)
#elif PY_VERSION_HEX >= 0x030B0000
#define PMT_TOP_FRAME(t) ((t)->cframe->current_frame)
#else
#define PMT_TOP_FRAME(t) ((t)->frame)
#endif
#if PY_VERSION_HEX >= 0x030C0000
#define PMT_RECURSION_USED(t) ((t)->py_recursion_limit - (t)->py_recursion_remaining)
#define PMT_RECURSION_GIVE(t, n) ((t)->py_recursion_remaining += (n))
#elif PY_VERSION_HEX >= 0x030B0000
#define PMT_RECURSION_USED(t) ((t)->recursion_limit - (t)->recursion_remaining)
#define PMT_RECURSION_GIVE(t, n) ((t)->recursion_remaining += (n))
#else
#define PMT_RECURSION_USED(t) ((t)->recursion_depth)
#define PMT_RECURSION_GIVE(t, n) ((t)->recursion_depth -= (n))
#endif

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
#define PMT_C_USED(t) (Py_C_RECURSION_LIMIT - (t)->c_recursion_remaining)
#define PMT_C_GIVE(t, n) ((t)->c_recursion_remaining += (n))
#elif PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
#define PMT_C_USED(t) (C_RECURSION_LIMIT - (t)->c_recursion_remaining)
#define PMT_C_GIVE(t, n) ((t)->c_recursion_remaining += (n))
#else
#define PMT_C_USED(t) 0
#define PMT_C_GIVE(t, n) ((void)(t), (void)(n))
#endif

static inline pmt_bare pmt_bare_enter(PyThreadState *t)
{
    pmt_bare saved = {.frame = PMT_TOP_FRAME(t), .used = PMT_RECURSION_USED(t), .c_used = PMT_C_USED(t)};
    PMT_TOP_FRAME(t) = PMT_NO_FRAME(t);
    PMT_RECURSION_GIVE(t, saved.used);
    PMT_C_GIVE(t, saved.c_used);
    return saved;
}

static inline void pmt_bare_leave(PyThreadState *t, pmt_bare saved)
{
    PMT_TOP_FRAME(t) = saved.frame;
    PMT_RECURSION_GIVE(t, -saved.used);
    PMT_C_GIVE(t, -saved.c_used);
}

/* 3.12: the pending exception is one object (gh-101578). */
typedef struct pmt_exc {
    PyObject *type, *value, *traceback;
} pmt_exc;

#if PY_VERSION_HEX >= 0x030C0000
static inline pmt_exc pmt_exc_save(void)
{
    return (pmt_exc){.value = PyErr_GetRaisedException()};
}
static inline void pmt_exc_restore(pmt_exc e)
{
    PyErr_SetRaisedException(e.value);
}
#else
static inline pmt_exc pmt_exc_save(void)
{
    pmt_exc e;
    PyErr_Fetch(&e.type, &e.value, &e.traceback);
    return e;
}
static inline void pmt_exc_restore(pmt_exc e)
{
    PyErr_Restore(e.type, e.value, e.traceback);
}
#endif

/* 3.11 collects garbage in the middle of an allocation, even of a frame object that a callback asks for: finalizers would
 * run there and their events be lost. Before, these objects exist already; later, collections wait for the eval loop. */
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000
static inline int pmt_gc_hold(void)
{
    return PyGC_Disable();
}
static inline void pmt_gc_release(int was_on)
{
    if (was_on) {
        PyGC_Enable();
    }
}
#else
static inline int pmt_gc_hold(void)
{
    return 0;
}
static inline void pmt_gc_release(int was_on)
{
    (void)was_on;
}
#endif

/* 3.12: an offset is an int of one digit and not negative, so its value is the digit; of another int it is meaningless. */
#if PY_VERSION_HEX >= 0x030C0000
static inline int pmt_small_int(PyObject *n)
{
    return (int)((PyLongObject *)n)->long_value.ob_digit[0];
}
#else
static inline int pmt_small_int(PyObject *n)
{
    return (int)PyLong_AsLong(n);
}
#endif

/* Before 3.14 a bound method of a C function is handed to CALL as it is, and the function itself to C_RETURN. */
#if PY_VERSION_HEX < 0x030E0000
#define PMT_BOUND_IN_CALL 1
#else
#define PMT_BOUND_IN_CALL 0
#endif

/* 3.14: `__main__` forgets its file before an exception is printed, and subclasses of KeyboardInterrupt are interrupts. */
#if PY_VERSION_HEX >= 0x030E0000
#define PMT_FORGETS_FILE_FIRST 1
#define pmt_is_interrupt(type) PyErr_GivenExceptionMatches(type, PyExc_KeyboardInterrupt)
#else
#define PMT_FORGETS_FILE_FIRST 0
#define pmt_is_interrupt(type) ((type) == PyExc_KeyboardInterrupt)
#endif

/* 3.12: os.fork() warns when the process has a second thread (gh-100228). */
#define PMT_WARNS_AT_FORK (PY_VERSION_HEX >= 0x030C0000)

/* 3.12: a module says that it cannot live in several interpreters. */
#if PY_VERSION_HEX >= 0x030C0000
#define PMT_SLOT_ONE_INTERPRETER {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#else
#define PMT_SLOT_ONE_INTERPRETER
#endif

/* 3.10: PyModule_AddObjectRef. */
static inline int pmt_module_add(PyObject *m, const char *name, PyObject *value) /* value stays the caller's */
{
    Py_XINCREF(value);
    if (value == NULL || PyModule_AddObject(m, name, value) < 0) {
        Py_XDECREF(value);
        return -1;
    }
    return 0;
}

#endif
