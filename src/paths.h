/* paths.h - names of the files that a tracer writes: defaults, templates, absolute paths. Under the GIL. */
#ifndef PMT_PATHS_H
#define PMT_PATHS_H

#include "core/template.h"
#include "tracer.h"

pmt_fields pmt_paths_fields(const pmt_tracer *t); /* of this process, now; valid as long as the tracer */

/* Of a tracer that is about to start, with a file: sets t->absolute, options.path, t->template and t->first, all absolute,
 * and options.open_flags if it joins a run. 0, or -1 with an exception; once more is fine, and frees what was set before. */
int pmt_paths_resolve(pmt_tracer *t);

/* Of this process, when it is not the first of the run and the tracer is resolved. malloc'ed, the caller's; NULL: no memory. */
char *pmt_paths_further(const pmt_tracer *t);

#endif
