/* core/recover.h - after a kill: what the ring holds goes to where it belongs. One thread; no Python. */
#ifndef PMT_RECOVER_H
#define PMT_RECOVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct pmt_recovered {
    uint64_t events;  /* event lines, or events of a capture, that were brought back */
    int64_t bytes;    /* by which the output grew */
    char why[512];    /* one sentence without a full stop: why it failed */
} pmt_recovered;

/* path: the log or capture. 0: done, and its left-overs are gone; 1: there was nothing to recover; -errno: failed, `why`
 * says how, and nothing is lost: the left-overs are still there (-EBUSY: its process lives). */
int pmt_recover(const char *path, pmt_recovered *out);

#endif
