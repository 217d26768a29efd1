/* process.h - what there is once a process: the innermost recording, and the functions that are special to it.
 * Under the GIL, but for pmt_active in the fork handler. */
#ifndef PMT_PROCESS_H
#define PMT_PROCESS_H

#include "compat.h"
#include "core/recorder.h"

extern pmt_recorder *pmt_active; /* outer ones hang on it */

typedef enum pmt_mark {
    PMT_MARK_NONE,
    PMT_MARK_OWN,   /* our start and stop functions: never events */
    PMT_MARK_EXIT,  /* os._exit, os.abort: the end is written before */
    PMT_MARK_EXEC,  /* os.execv, os.execve: likewise, and taken back if they fail */
    PMT_MARK_FORK,  /* os.fork, os.forkpty: our thread starts again when they return */
    PMT_MARK_THREAD /* _thread.start_new_thread: before it, threading is told to give new threads our function */
} pmt_mark;

#define PMT_MAX_MARKS 64
#define PMT_MAX_HIDDEN 64

extern uint64_t pmt_mark_bits; /* a bit for each marked function's address: most calls are told by it alone */
extern uint64_t pmt_hidden_bits[16]; /* likewise for hidden code objects: one bit of 1,024 each */

int pmt_process_init(void);                       /* marks functions of posix and _thread: 0, or -1 with an exception */
void pmt_mark_add(const PyMethodDef *def, pmt_mark mark);
pmt_mark pmt_mark_find(const PyMethodDef *def);
int pmt_hide(PyCodeObject *code);                 /* keeps it for ever; 0, or -1 with an exception */
bool pmt_hidden_find(const PyCodeObject *code);
uint32_t pmt_next_generation(void);

static inline uint64_t pmt_mark_bit(const void *def) /* method tables are arrays of 32 bytes an entry */
{
    return UINT64_C(1) << ((uintptr_t)def >> 5 & 63);
}

static inline pmt_mark pmt_mark_of(const PyMethodDef *def)
{
    return __builtin_expect((pmt_mark_bits & pmt_mark_bit(def)) != 0, 0) ? pmt_mark_find(def) : PMT_MARK_NONE;
}

static inline unsigned pmt_hidden_bit(const PyCodeObject *code)
{
    return (unsigned)((uintptr_t)code >> 5 ^ (uintptr_t)code >> 14) & 1023;
}

static inline bool pmt_is_hidden(const PyCodeObject *code)
{
    unsigned bit = pmt_hidden_bit(code);
    return __builtin_expect((pmt_hidden_bits[bit >> 6] >> (bit & 63) & 1) != 0, 0) && pmt_hidden_find(code);
}

#endif
