/* core/json.h - strings of a JSON text. */
#ifndef PMT_JSON_H
#define PMT_JSON_H

#include <stddef.h>

#define PMT_JSON_GROWTH 6u /* a byte becomes at most so many */

/* Writes n bytes of UTF-8 as they stand between the quotes (room for PMT_JSON_GROWTH times as many); the end. A byte that is no
 * UTF-8 becomes a lone surrogate, as os.fsdecode has it; lone surrogates encoded like other characters stay what they are. */
char *pmt_json_put(char *out, const char *text, size_t n);

#endif
