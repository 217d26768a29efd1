/* core/segments.h - names of the files NAME.1, NAME.2 ... in which a capture with --keep has its blocks of events.
 *
 * Any thread, no GIL needed. find allocates and reads files: at a start, in readers and in recovery, never in the writer. */
#ifndef PMT_SEGMENTS_H
#define PMT_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

#define PMT_SEGMENT_SUFFIX 24u /* bytes that a suffix takes at most, with its terminator */

/* Their numbers, ascending, in malloc'ed memory (NULL: none). 0 or -ENOMEM; a folder that cannot be read has none.
 * Only what is a segment, by what it begins with, and of the recording that began at `of` (NULL: of any): other files may
 * have such names. One that is just beginning is taken for one. */
int pmt_segments_find(const char *path, const pmt_pair *of, uint64_t **numbers, size_t *count);
void pmt_segment_name(char *to, const char *path, uint64_t number); /* strlen(path) + PMT_SEGMENT_SUFFIX bytes */

#endif
