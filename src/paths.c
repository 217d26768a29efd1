/* The first process of a run resolves the template that it was given; the others, forked or started, get a name of their
 * own from the same template or from the first file's name. */
#include "paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/template.h"
#include "errors.h"
#include "member.h"

static char *absolute_template(const char *text) /* malloc'ed; NULL: errno set */
{
    char *folder = text[0] == '/' ? NULL : pmt_path_absolute(""); /* braces in its name are no fields */
    char *escaped = folder == NULL ? NULL : pmt_template_escape(folder);
    char *whole = text[0] == '/' ? strdup(text) : escaped == NULL ? NULL : pmt_path_beside(escaped, text);
    free(escaped);
    free(folder);
    return whole;
}

pmt_fields pmt_paths_fields(const pmt_tracer *t)
{
    return (pmt_fields){.pid = (long)getpid(), .seq = pmt_our_family.seq,
                        .program = t->program == NULL ? "python" : PyBytes_AS_STRING(t->program)};
}

char *pmt_paths_further(const pmt_tracer *t)
{
    pmt_fields fields = pmt_paths_fields(t);
    return pmt_template_varies(t->template) ? pmt_template_expand(t->template, &fields)
                                            : pmt_template_child(t->first, fields.pid);
}

int pmt_paths_resolve(pmt_tracer *t)
{
    static const char *const defaults[] = {"{time}_{pid}.log", "{time}_{pid}.pmt"};
    const char *given = t->path == NULL ? defaults[t->options.binary] : PyBytes_AS_STRING(t->path);
    pmt_fields fields = pmt_paths_fields(t);
    char *name = pmt_template_expand(given, &fields);
    free(t->absolute);
    free(t->template);
    free(t->first);
    t->template = t->first = NULL;
    t->absolute = name == NULL ? NULL : pmt_path_absolute(name);
    if (t->absolute != NULL && (t->template = absolute_template(given)) != NULL) {
        t->first = strdup(t->beside == NULL ? t->absolute : PyBytes_AS_STRING(t->beside));
    }
    if (t->first != NULL && t->beside != NULL) { /* joining a run */
        free(t->absolute);
        t->absolute = pmt_paths_further(t);
        t->options.open_flags = PMT_OPEN_UNIQUE;
    }
    if (t->absolute == NULL || t->first == NULL) {
        pmt_raise(-errno, name);
        free(name);
        return -1;
    }
    free(name);
    t->options.path = t->absolute;
    return 0;
}
