/* environment.h - os.environ while a recording has children: by it the Pythons that the program starts join the run. Under
 * the GIL. */
#ifndef PMT_ENVIRONMENT_H
#define PMT_ENVIRONMENT_H

#include "tracer.h"

/* PYMEMTRACE and PYTHONPATH say how to join. No exception; -errno where that cannot be said. */
int pmt_environment_publish(pmt_tracer *t);
void pmt_environment_withdraw(pmt_tracer *t); /* as they were, but for what the program did; no exception, none disturbed */

#endif
