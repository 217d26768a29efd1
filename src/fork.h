/* fork.h - what happens around a fork. pthread_atfork: in the child of any fork, recording is switched off. The hooks of
 * os.register_at_fork, under the GIL: our threads are ended before (CPython 3.12 warns where there is a second one). */
#ifndef PMT_FORK_H
#define PMT_FORK_H

#include "compat.h"

int pmt_fork_init(void); /* once a process: 0, or -1 with an exception */

#endif
