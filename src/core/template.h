/* core/template.h - names of output files: fields in braces, and the names of a run's further processes. */
#ifndef PMT_TEMPLATE_H
#define PMT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMT_TEMPLATE_FIELDS "{pid}, {host}, {seq}, {name}, {time}"

typedef struct pmt_fields {
    long pid;
    uint32_t seq;        /* number of the process in its run */
    const char *program; /* {name} */
} pmt_fields;

/* Is it well formed? 0, or -EINVAL with what is wrong, `n` bytes at *bad: a field's name, or a brace that has no other. */
int pmt_template_check(const char *text, const char **bad, size_t *n);
bool pmt_template_varies(const char *text); /* does every process of a run get a name of its own by it: {pid} or {seq}? */
/* The path; {{ and }} are braces. {time} is now, local. malloc'ed, NULL: no memory. For what pmt_template_check accepts. */
char *pmt_template_expand(const char *text, const pmt_fields *fields);
char *pmt_template_escape(const char *path);           /* the template that expands to this path; malloc'ed, NULL: no memory */
char *pmt_template_child(const char *first, long pid); /* job.log -> job_PID.log; malloc'ed, NULL: no memory */

#endif
