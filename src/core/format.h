/* core/format.h - the pieces of a text row: numbers and escaped names, byte for byte as docs/log-format.md has them.
 * Pure functions; nothing is written beyond the sizes named here. */
#ifndef PMT_FORMAT_H
#define PMT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PMT_NUMBER_BYTES 24  /* a number's digits and sign; */
#define PMT_NUMBER_ROOM 48   /* room that pmt_put_* need behind p: what is beyond their end is undefined after */
#define PMT_ESCAPE_GROWTH 6u /* an escaped byte becomes at most so many */

char *pmt_put_u64(char *p, uint64_t value);                        /* decimal; returns the end */
char *pmt_put_left(char *p, uint64_t value, unsigned width);       /* "%-*zu"; widths are at most 16 */
char *pmt_put_right(char *p, int64_t value, unsigned width);       /* "%*ld" */
char *pmt_put_seconds(char *p, int64_t microseconds, unsigned width); /* "%-*.6f" */

/* Escapes at most n bytes of a name into out (room for PMT_ESCAPE_GROWTH times as many); the length. A character cut by
 * n is left for the next call: *used says how many bytes of the name were taken, at least one if n is 4 or more.
 * spaces: also escape ' ' and '#', as function names are. */
size_t pmt_escape(char *out, const char *name, size_t n, bool spaces, size_t *used);

/* One character of UTF-8, surrogates allowed: its bytes, 0 if it is cut by the end, -1 if it is none. */
int pmt_utf8_decode(const unsigned char *p, size_t n, uint32_t *ch);

extern const char *const pmt_kind_names[5]; /* CALL ... C_EXCEPT, by pmt_kind */

void pmt_put_columns(FILE *f, bool previous); /* the line above the rows */

#endif
