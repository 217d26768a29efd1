/* tracer.h - type Tracer (tracer_type.c) and how its recording starts and stops (tracer.c). Under the GIL. */
#ifndef PMT_TRACER_H
#define PMT_TRACER_H

#include "compat.h"
#include "core/recorder.h"
#include "core/sampler.h"
#include "engine.h"

typedef struct pmt_tracer {
    PyObject_HEAD
    pmt_options options;
    pmt_engine_choice engine_choice;
    const pmt_engine *engine; /* NULL: not started */
    PyObject *path;          /* bytes as given, a template; NULL: default name, or no file */
    PyObject *message;       /* bytes, NULL: none */
    char *absolute;          /* owned (malloc); where options.path points */
    /* Of its children, see children.c. Bytes, or NULL: */
    PyObject *children;      /* our options as a command line; NULL: children are not recorded */
    PyObject *family;        /* path of the family that this process joins */
    PyObject *beside;        /* the first file of that run */
    PyObject *program;       /* {name} */
    char *template, *first;  /* owned (malloc), absolute; the run's first file */
    PyObject *environ, *variable, *variable_was, *python_path, *python_path_was; /* while published, see environment.c */
    int64_t sample_ns;       /* samples beside the file, at this interval; 0: none */
    pmt_sampler *sampler;    /* owned, while recording; NULL: none */
    bool samples_missing;    /* of a forked child, whose could not begin */
    char why[160];           /* why this engine */
    pmt_recorder *recorder;  /* owned; NULL: not started, or ended */
    PyObject *stats, *growth; /* of an ended recording */
    PyObject *error;         /* OSError, NULL: none */
    bool started;
} pmt_tracer;

int pmt_tracer_types_init(PyObject *module);            /* tracer_type.c: adds Tracer and Profile; 0, or -1 with an exception */
int pmt_tracer_start(pmt_tracer *t);                    /* 0, or -1 with an exception */
void pmt_tracer_stop(pmt_tracer *t);                    /* no exception, none disturbed; twice is fine */
int pmt_tracer_fork(pmt_tracer *t, pmt_recorder *parent); /* in a forked child: goes on in a file of its own; 0, -1: it cannot */
int pmt_tracer_warn(pmt_tracer *t);                     /* one RuntimeWarning if it ended by an error; no exception left */
PyObject *pmt_tracer_stats(const pmt_tracer *t, pmt_recorder *r); /* all figures of its recording; NULL with an exception */
bool pmt_tracer_running(const pmt_tracer *t);
int pmt_tracer_write(pmt_tracer *t, PyObject *text, PyObject *error); /* a `# ` line; -1: `error` raised */
PyObject *pmt_tracer_path(const pmt_tracer *t);         /* new reference: str or None */
pmt_tracer *pmt_tracer_active(void);                    /* innermost; borrowed, NULL: none */

#endif
