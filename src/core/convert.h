/* core/convert.h - a capture printed as the text log that would have been written instead. One thread; no Python. */
#ifndef PMT_CONVERT_H
#define PMT_CONVERT_H

#include "core/filter.h"
#include "core/reader.h"

/* Prints to o, which is open. *rows: event lines. 0 or -errno: of reading or writing (o's errors only are -EPIPE,
 * -ENOSPC ...); where the capture is cut, what there is is printed and the result is 0. */
int pmt_convert(pmt_reader *r, pmt_output *o, pmt_log log, uint64_t threshold, bool comments, uint64_t *rows);

#endif
