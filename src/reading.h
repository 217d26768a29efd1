/* reading.h - the core's reader and its names for Python: what all share that read captures. Under the GIL. */
#ifndef PMT_READING_H
#define PMT_READING_H

#include "compat.h"
#include "core/reader.h"

int pmt_reader_start(pmt_reader *r, const char *path); /* 0; or -1 with an exception, and r closed */
/* The exception for what the reader returned, OSError or ValueError with the path: always -1. */
int pmt_reader_raise(int rc, const pmt_reader *r, const char *path);
PyObject *pmt_why_text(const char *why, const char *path); /* a reader's `why`, with the path in any case */
/* After a pass over all blocks, str or None: why it is not whole, with the path; the text of its end. */
PyObject *pmt_why_of(const pmt_reader *r, const char *path);
PyObject *pmt_end_of(const pmt_reader *r);

PyObject *pmt_text_of(const char *bytes, size_t n);        /* UTF-8 with surrogates; any bytes do */
/* As text logs show it: <?> for what is unknown, and for a function without a name. */
PyObject *pmt_name_text(const pmt_dictionary *d, uint32_t id, bool function);
/* File and function of a defined site, new references; 0, or -1 with an exception. */
int pmt_site_names(const pmt_dictionary *d, uint32_t id, PyObject **file, PyObject **function);
PyObject *pmt_one_of(PyObject *names, PyObject *text);     /* takes text over; the equal object that was in the dict first */

#endif
