/* engine.h - what an engine offers: how events come in. Under the GIL; exceptions are CPython's own (audit hooks). */
#ifndef PMT_ENGINE_H
#define PMT_ENGINE_H

#include "compat.h"
#include "core/recorder.h"

typedef struct pmt_engine {
    const char *name;
    const char *(*usable)(void);          /* NULL, or why not on this Python */
    int (*install)(pmt_recorder *r);      /* for r, in all threads; 0, or -1 with an exception and nothing changed */
    int (*retarget)(pmt_recorder *r);     /* where installed: events are r's from here on; 0, or -1 with an exception */
    /* What was there before is back. In how many threads had the program replaced or removed our function? r: the one
     * that ended, or NULL: not asked. */
    int (*remove)(const pmt_recorder *r);
} pmt_engine;

extern const pmt_engine pmt_profile_engine; /* callbacks.c */
int pmt_callbacks_init(PyObject *module);   /* makes the hook object: 0, or -1 with an exception */

/* After a fork, in the child: the forking thread, the only one left, loses our function. */
void pmt_callbacks_forked(void);

#endif
