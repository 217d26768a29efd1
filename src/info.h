/* info.h - figures of this process and this machine, outside any recording. Under the GIL. */
#ifndef PMT_INFO_H
#define PMT_INFO_H

#include "compat.h"

PyObject *pmt_info(PyObject *module, PyObject *args);
PyObject *pmt_info_rss(PyObject *module, PyObject *args);
PyObject *pmt_info_rss_peak(PyObject *module, PyObject *args);

#endif
