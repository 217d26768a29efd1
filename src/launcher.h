/* launcher.h - runs a program as the interpreter would: nothing beneath its first frame, the process ends with it. */
#ifndef PMT_LAUNCHER_H
#define PMT_LAUNCHER_H

#include "compat.h"

PyObject *pmt_bare_call(PyObject *module, PyObject *args);
PyObject *pmt_run_main(PyObject *module, PyObject *args); /* does not return, but for bad arguments */

#endif
