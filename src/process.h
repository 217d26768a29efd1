/* process.h - what there is once a process: the innermost recording, and the functions that are special to it.
 * Under the GIL, but for pmt_active in the fork handler. */
#ifndef PMT_PROCESS_H
#define PMT_PROCESS_H

#include "compat.h"
#include "core/recorder.h"

extern pmt_recorder *pmt_active; /* outer ones hang on it */
/* Generation of the recording that saw this thread enter _posixsubprocess.fork_exec, 0: it is not within. */
extern __thread uint32_t pmt_spawning __attribute__((tls_model("initial-exec")));

typedef enum pmt_mark {
    PMT_MARK_NONE,
    PMT_MARK_OWN,   /* our start and stop functions: never events */
    PMT_MARK_EXIT,  /* os._exit, os.abort: the end is written before */
    PMT_MARK_EXEC,  /* os.execv, os.execve: likewise, and taken back if they fail */
    PMT_MARK_FORK,  /* os.fork, os.forkpty: our thread starts again when they return */
    PMT_MARK_SPAWN, /* _posixsubprocess.fork_exec: what forks within it execs at once */
    PMT_MARK_ALONE, /* os.unshare, os.setns: the kernel refuses them to a process with a second thread */
    PMT_MARK_THREAD /* _thread.start_new_thread: before it, threading is told to give new threads our function */
} pmt_mark;

#define PMT_MAX_MARKS 64
#define PMT_MAX_HIDDEN 64

/* Tables by address, a sixteenth full at most: nearly every function is told by one look at an empty place. */
#define PMT_PLACES 1024u

typedef struct pmt_marked {
    const PyMethodDef *def; /* NULL: empty */
    pmt_mark mark;
} pmt_marked;

extern pmt_marked pmt_marks[PMT_PLACES];
extern PyCodeObject *pmt_hidden[PMT_PLACES]; /* owned, for the process's life; NULL: empty */

int pmt_process_init(void);                       /* marks functions of posix and _thread: 0, or -1 with an exception */
void pmt_mark_add(const PyMethodDef *def, pmt_mark mark);
pmt_mark pmt_mark_find(const PyMethodDef *def);
int pmt_hide(PyCodeObject *code);                 /* keeps it for ever; 0, or -1 with an exception */
bool pmt_hidden_find(const PyCodeObject *code);
uint32_t pmt_next_generation(void);
int pmt_call_at_exit(PyMethodDef *def, bool *done); /* once, which *done remembers: 0, or -1 with an exception */

static inline unsigned pmt_mark_place(const PyMethodDef *def) /* method tables are arrays of 32 bytes an entry */
{
    return (unsigned)((uintptr_t)def >> 5) & (PMT_PLACES - 1);
}

static inline bool pmt_may_be_marked(const PyMethodDef *def)
{
    return __builtin_expect(pmt_marks[pmt_mark_place(def)].def != NULL, 0);
}

static inline pmt_mark pmt_mark_of(const PyMethodDef *def)
{
    return pmt_may_be_marked(def) ? pmt_mark_find(def) : PMT_MARK_NONE;
}

static inline unsigned pmt_hidden_place(const PyCodeObject *code) /* low bits alone: one in ten was taken on 3.9 */
{
    return (unsigned)((uintptr_t)code >> 5 ^ (uintptr_t)code >> 14) & (PMT_PLACES - 1);
}

static inline bool pmt_may_be_hidden(const PyCodeObject *code)
{
    return __builtin_expect(pmt_hidden[pmt_hidden_place(code)] != NULL, 0);
}

static inline bool pmt_is_hidden(const PyCodeObject *code)
{
    return pmt_may_be_hidden(code) && pmt_hidden_find(code);
}

#endif
