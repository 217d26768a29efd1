/* module.c - module definition, list of types and functions; no logic. */
#include "capture.h"
#include "children.h"
#include "compat.h"
#include "engine.h"
#include "environment.h"
#include "info.h"
#include "launcher.h"
#include "process.h"
#include "recovery.h"
#include "sampler_type.h"
#include "samplers.h"
#include "sites.h"
#include "threads.h"
#include "tracer.h"

static PyObject *hide(PyObject *Py_UNUSED(module), PyObject *code)
{
    if (!PyCode_Check(code)) {
        PyErr_Format(PyExc_TypeError, "hide() needs a code object, not %.100s", Py_TYPE(code)->tp_name);
        return NULL;
    }
    if (pmt_hide((PyCodeObject *)code) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *profile_log_path(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    pmt_tracer *t = pmt_tracer_active();
    if (t == NULL || !pmt_tracer_running(t)) {
        Py_RETURN_NONE;
    }
    return pmt_tracer_path(t);
}

static PyObject *profile_wrapper_depth(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    long depth = 0;
    for (pmt_recorder *r = pmt_active; r != NULL; r = r->outer) {
        depth += pmt_tracer_running(r->owner);
    }
    return PyLong_FromLong(depth);
}

static PyObject *profile_write(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (pmt_tracer_write(pmt_tracer_active(), text, PyExc_ValueError) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"rss", pmt_info_rss, METH_NOARGS, "RSS of this process now, bytes."},
    {"rss_peak", pmt_info_rss_peak, METH_NOARGS, "The larger of VmHWM and RSS now, bytes."},
    {"info", pmt_info, METH_NOARGS, "What this machine gives: clock, gate, granularity, cost of a reading, engines."},
    {"profile_log_path", profile_log_path, METH_NOARGS, "Path of the innermost running log, None when none runs."},
    {"profile_wrapper_depth", profile_wrapper_depth, METH_NOARGS, "How many recordings are nested now."},
    {"profile_write_message_to_log", profile_write, METH_O, "A line for the innermost log; ValueError when none runs."},
    {"family", pmt_children_family, METH_NOARGS,
     "The other processes of the run that this one began, (pid, parent, state, path, reason, alive); None: it began none."},
    {"family_note", pmt_children_note, METH_VARARGS, "family_note(path, reason): this process of that run is not recorded."},
    {"family_end", pmt_children_end, METH_NOARGS, "The run that this process began is over: its file in /dev/shm goes."},
    {"hide", hide, METH_O, "Frames of this code object, and what they call directly in C, are never events."},
    {"bare_call", pmt_bare_call, METH_VARARGS, "Run a target with no Python frame beneath it."},
    {"capture_to_log", (PyCFunction)(void (*)(void))pmt_capture_to_log, METH_VARARGS | METH_KEYWORDS, pmt_to_log_doc},
    {"recover", pmt_recover_file, METH_O, pmt_recover_doc},
    {"write_marker", pmt_write_marker, METH_O, pmt_write_marker_doc},
    {"run_main", pmt_run_main, METH_VARARGS, "Start a tracer or sampler, run a target, end the process as the interpreter would."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    static bool threads_ready;
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "pymemtrace works in the main interpreter only");
        return -1;
    }
    if (!threads_ready && pmt_threads_init() < 0) {
        PyErr_SetString(PyExc_ImportError, "pymemtrace: no thread key left in this process");
        return -1;
    }
    threads_ready = true;
    if (pmt_environment_init(module) < 0 || pmt_pysites_init() < 0 || pmt_process_init() < 0 || pmt_callbacks_init(module) < 0 ||
        pmt_monitoring_init(module) < 0) {
        return -1;
    }
    return pmt_tracer_types_init(module) < 0 || pmt_sampler_types_init(module) < 0 ? -1 : pmt_capture_types_init(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    PMT_SLOT_ONE_INTERPRETER {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pymemtrace.cPyMemTrace",
    .m_doc = "The recorder: RSS of this process at every Python and C call and return.",
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_cPyMemTrace(void)
{
    return PyModuleDef_Init(&module_def);
}
