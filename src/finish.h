/* finish.h - the lines at both ends of a log, and what a recording amounts to. Under the GIL; may allocate. */
#ifndef PMT_FINISH_H
#define PMT_FINISH_H

#include "compat.h"
#include "core/recorder.h"

/* Text that begins the file: message as given, `# key: value` lines, column header. malloc'ed; NULL: no memory. */
char *pmt_header_text(const pmt_recorder *r, const char *message, size_t message_len, const char *engine_why, size_t *n);
typedef struct pmt_unseen {
    uint64_t threads; /* that could not be seen */
    int replaced;     /* threads in which the program put another profile function in the place of ours */
} pmt_unseen;

/* Text that ends it; reason: NULL for a regular end; unseen: NULL, not known yet. malloc'ed; NULL: no memory. */
char *pmt_footer_text(const pmt_recorder *r, const char *reason, const pmt_unseen *unseen, size_t *n);

#define PMT_COMMAND_BYTES 4096 /* of a command line that are told */
ssize_t pmt_command_line(char *out, size_t room); /* this process's, each word with a zero after it; bytes, or -1 */
void pmt_put_moment(FILE *f);                     /* now: ISO 8601 with microseconds and the offset of local time */

PyObject *pmt_stats(pmt_recorder *r);            /* dict; NULL with an exception */
PyObject *pmt_growth_list(const pmt_recorder *r); /* list of (file, line, function, bytes, times), largest first */

#endif
