/* children.h - the processes that a recorded program makes: the family of the run, and what a forked one does. Under the
 * GIL. */
#ifndef PMT_CHILDREN_H
#define PMT_CHILDREN_H

#include "tracer.h"

/* Before the file has its name: this process gets its number in the run. 0 or -errno: then children are not recorded. */
int pmt_children_enter(pmt_tracer *t);
void pmt_children_refused(const pmt_tracer *t); /* the root is told the pending exception, which stays */
void pmt_children_forked(void);                 /* in the child, last of all that a fork does */

PyObject *pmt_children_family(PyObject *module, PyObject *args); /* family() */
PyObject *pmt_children_note(PyObject *module, PyObject *args);   /* family_note(path, reason) */
PyObject *pmt_children_end(PyObject *module, PyObject *args);    /* family_end() */

#endif
