/* capture_tree.h - a capture's tree and totals as Python objects. Under the GIL, which is let go of meanwhile. */
#ifndef PMT_CAPTURE_TREE_H
#define PMT_CAPTURE_TREE_H

#include "compat.h"

PyObject *pmt_capture_tree(const char *path);   /* dict; NULL with an exception */
PyObject *pmt_capture_site_totals(const char *path); /* likewise by site; None: there was no room for them */
PyObject *pmt_capture_totals(const char *path); /* list, or None: there are none; NULL with an exception */

#endif
