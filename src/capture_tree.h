/* capture_tree.h - a capture's tree and totals as Python objects. Under the GIL, which is let go of meanwhile. */
#ifndef PMT_CAPTURE_TREE_H
#define PMT_CAPTURE_TREE_H

#include "compat.h"

/* dict; NULL with an exception. moments: of RSS over time, at most; 0: no history, so neither they nor what was held at the
 * peak. */
PyObject *pmt_capture_tree(const char *path, uint32_t moments);
PyObject *pmt_capture_site_totals(const char *path); /* likewise by site; None: there was no room for them */
PyObject *pmt_capture_totals(const char *path); /* list, or None: there are none; NULL with an exception */

#endif
