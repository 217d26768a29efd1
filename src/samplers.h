/* samplers.h - the samplers of this process, those of Sampler objects and of recordings alike: their files' headers, and
 * what becomes of them around forks, exec and exit. Under the GIL. */
#ifndef PMT_SAMPLERS_H
#define PMT_SAMPLERS_H

#include "compat.h"
#include "core/sampler.h"

#define PMT_SAMPLES_NAME "{time}_{pid}.rss" /* of a file that nobody has named */
#define PMT_PSS_NS 1000000000 /* least time between two readings of PSS and USS, where nobody says otherwise */

/* Makes the file. 0 or -errno with *out NULL. path: absolute. */
int pmt_samplers_open(pmt_sampler **out, const char *path, unsigned flags, int64_t interval_ns, int64_t pss_ns);
/* Writes the header and the first sample; from here on it is one of those below. 0 or -errno. May release the GIL. */
int pmt_samplers_start(pmt_sampler *s);
void pmt_samplers_stop(pmt_sampler *s);   /* a last sample; started or not, in a forked child too. Then: */
void pmt_samplers_free(pmt_sampler *s);   /* NULL is fine; of a parent's only the memory */
bool pmt_samplers_ours(const pmt_sampler *s); /* is it of this process, not of its parent? */

PyObject *pmt_samples_dict(const pmt_sampler *s); /* what was read so far; NULL with an exception */
char *pmt_samples_path(const char *log);  /* job.rss for job.log; malloc'ed, NULL: no memory */

/* No thread of a sampler is left. last: one more sample of each. They come back with resume; pause: by themselves, soon. */
void pmt_samplers_pause(bool last);
void pmt_samplers_resume(void);
void pmt_samplers_before_fork(void);
void pmt_samplers_after_fork(void);       /* in the parent */
void pmt_samplers_forked(void);           /* in the child, by pthread_atfork: only stores */

extern const char pmt_write_marker_doc[];
PyObject *pmt_write_marker(PyObject *module, PyObject *text); /* write_marker(text) */

#endif
