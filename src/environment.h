/* environment.h - os.environ while a recording runs: by it the Pythons that the program starts join the run. Under the GIL;
 * no Python code runs. */
#ifndef PMT_ENVIRONMENT_H
#define PMT_ENVIRONMENT_H

#include "tracer.h"

int pmt_environment_init(PyObject *module); /* 0, or -1 with an exception */
/* PYMEMTRACE and PYTHONPATH say how to join r's run; without children that is said to nobody. No exception; -errno where
 * it cannot be said. */
int pmt_environment_publish(pmt_tracer *t, const pmt_recorder *r);
void pmt_environment_withdraw(pmt_tracer *t); /* as they were, but for what the program did; no exception, none disturbed */
void pmt_environment_inherit(pmt_tracer *t, pmt_tracer *outer); /* outer is dropped: t puts back what outer would have */
void pmt_environment_forget(pmt_tracer *t);   /* lets go of what publish keeps */

#endif
