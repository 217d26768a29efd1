/* recovery.h - functions of the module: a capture as a log; what a killed recording left. */
#ifndef PMT_RECOVERY_H
#define PMT_RECOVERY_H

#include "compat.h"

extern const char pmt_to_log_doc[], pmt_recover_doc[];
PyObject *pmt_capture_to_log(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *pmt_recover_file(PyObject *module, PyObject *path);

#endif
