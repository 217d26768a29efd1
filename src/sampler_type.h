/* sampler_type.h - type Sampler: samples of this process without a recording. Under the GIL. */
#ifndef PMT_SAMPLER_TYPE_H
#define PMT_SAMPLER_TYPE_H

#include "compat.h"

typedef struct pmt_sampling pmt_sampling;

int pmt_sampler_types_init(PyObject *module); /* adds Sampler; 0, or -1 with an exception */
int pmt_sampling_start(pmt_sampling *p);      /* 0, or -1 with an exception */
void pmt_sampling_stop(pmt_sampling *p);      /* no exception, none disturbed; twice is fine */

#endif
