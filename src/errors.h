/* errors.h - -errno of the core -> Python exceptions. */
#ifndef PMT_ERRORS_H
#define PMT_ERRORS_H

#include "compat.h"

PyObject *pmt_raise(int rc, const char *path);              /* always NULL: return pmt_raise(rc, path); path may be NULL */
/* OSError of that number, the subclass that it has, with a sentence of ours (stolen; NULL: with the exception that is set). */
void pmt_raise_saying(int number, PyObject *sentence, const char *path);
PyObject *pmt_os_error(int rc, const char *path);           /* the OSError as an object; NULL with another exception */

#endif
