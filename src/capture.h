/* capture.h - type CaptureReader: a capture read back (docs/capture-format.md). Under the GIL, which is let go of while
 * the file is gone through. Nothing stays open between calls but in iterators. */
#ifndef PMT_CAPTURE_READER_H
#define PMT_CAPTURE_READER_H

#include "compat.h"

int pmt_capture_types_init(PyObject *module); /* adds CaptureReader; 0, or -1 with an exception */

#endif
