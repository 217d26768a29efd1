/* encode.h - str -> UTF-8 without an object: nothing that the callback does may allocate in the program's heap. */
#ifndef PMT_ENCODE_H
#define PMT_ENCODE_H

#include "compat.h"

extern PyObject *pmt_str_name; /* "_name"; made at import, for the process's life */

/* UTF-8 with surrogates as they are. Writes at most `room` bytes; the length that the whole needs. */
size_t pmt_encode(PyObject *str, char *out, size_t room);

#endif
