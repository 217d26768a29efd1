/* children.h - the processes that a recorded program makes: the family of the run, the environment by which Pythons that
 * the program starts join it, and what a forked child does. Under the GIL. */
#ifndef PMT_CHILDREN_H
#define PMT_CHILDREN_H

#include "core/family.h"
#include "tracer.h"

extern pmt_family pmt_our_family; /* of the process; nothing in it until a recording has children or joins a run */
extern __thread bool pmt_spawning __attribute__((tls_model("initial-exec"))); /* within _posixsubprocess.fork_exec */

/* Before the file has its name: this process gets its number in the run. 0 or -errno: then children are not recorded. */
int pmt_children_enter(pmt_tracer *t);
/* The recording is on: os.environ says how to join. No exception; -errno where children cannot be recorded. */
int pmt_children_publish(pmt_tracer *t);
void pmt_children_withdraw(pmt_tracer *t); /* os.environ as it was; no exception, none disturbed */
/* To the root, of this process; nested recordings are nobody's concern. */
void pmt_children_began(const pmt_recorder *r);
void pmt_children_ended(const pmt_recorder *r); /* its file is whole, or why not */
void pmt_children_refused(const pmt_tracer *t); /* the pending exception says why; it stays */
void pmt_children_forked(void);            /* in the child, last of all that a fork does */
char *pmt_children_footer(void);           /* the root's `# not recorded` lines, malloc'ed; NULL: none */

PyObject *pmt_children_family(PyObject *module, PyObject *args); /* family() */
PyObject *pmt_children_note(PyObject *module, PyObject *args);   /* family_note(path, reason) */
PyObject *pmt_children_end(PyObject *module, PyObject *args);    /* family_end() */

#endif
