/* engine.h - what an engine offers: how events come in, and which one is taken. Under the GIL; exceptions are CPython's own (audit hooks). */
#ifndef PMT_ENGINE_H
#define PMT_ENGINE_H

#include "compat.h"
#include "core/recorder.h"

typedef struct pmt_engine {
    const char *name;
    const char *(*usable)(void);          /* NULL, or why not here and now */
    int (*install)(pmt_recorder *r);      /* for r, in all threads; 0, or -1 with an exception and nothing changed */
    int (*retarget)(pmt_recorder *r);     /* where installed: events are r's from here on; 0, or -1 with an exception */
    /* What was there before is back. In how many threads had the program replaced or removed our function? r: the one
     * that ended, or NULL: not asked. */
    int (*remove)(const pmt_recorder *r);
    /* In the child of a fork: events are r's from here on; NULL: there are none any more. 0, or -1 with an exception. */
    int (*forked)(pmt_recorder *r);
    void (*before_thread)(void);          /* within an event: the program is about to start a thread */
} pmt_engine;

extern const pmt_engine pmt_profile_engine;    /* callbacks.c */
extern const pmt_engine pmt_monitoring_engine; /* monitoring.c */
int pmt_callbacks_init(PyObject *module);      /* makes the hook object: 0, or -1 with an exception */
int pmt_monitoring_init(PyObject *module);     /* makes the callables: 0, or -1 with an exception */

/* engine.c */
extern const pmt_engine *pmt_engine_installed; /* NULL: none */
typedef enum pmt_engine_choice { PMT_ENGINE_AUTO, PMT_ENGINE_PROFILE, PMT_ENGINE_MONITORING } pmt_engine_choice;
extern const char *const pmt_engine_names[3];
/* The engine to take, and a clause that says why; NULL with ValueError: the one that was asked for cannot be used. */
const pmt_engine *pmt_engine_choose(pmt_engine_choice choice, char *why, size_t room);

#endif
