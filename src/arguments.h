/* arguments.h - arguments that several types take. 0, or -1 with an exception. */
#ifndef PMT_ARGUMENTS_H
#define PMT_ARGUMENTS_H

#include <stdbool.h>

#include "compat.h"

/* str, bytes, path object or None -> bytes as the file system has them, or NULL; what *out held is let go. */
int pmt_take_path(PyObject *value, PyObject **out);
int pmt_take_template(PyObject *value, PyObject **out); /* the same of a file's name, whose fields must be known ones */
int pmt_take_seconds(PyObject *value, const char *name, bool zero, int64_t *ns); /* an interval; zero: 0 is one, too */

#endif
