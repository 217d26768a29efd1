/* core/background.h - a thread of ours beside the program's: a small stack mapped beforehand, all signals blocked, where the
 * kernel allows a descriptor table of its own. It never takes the GIL.
 *
 * init, start, join, free: by one thread at a time (under the GIL; start may release it meanwhile). up, table and output are
 * for the thread itself. */
#ifndef PMT_BACKGROUND_H
#define PMT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/arena.h"
#include "core/io.h"

/* Beside -errno: the kernel starts no thread for a process whose children go into another PID or time namespace. */
#define PMT_E_NO_THREAD 4096

const char *pmt_error_text(int rc); /* what -errno or -PMT_E_NO_THREAD means */

typedef struct pmt_background {
    pmt_arena *arena;
    void *stack;
    pthread_t thread;
    bool running;            /* the thread exists */
    _Atomic uint32_t ready;  /* futex: 0 starting, 1 up */
    _Atomic int start_error; /* what the thread's beginning said, -errno */
    _Atomic int tid;
} pmt_background;

int pmt_background_init(pmt_background *b, pmt_arena *a); /* 0 or -errno */
void pmt_background_free(pmt_background *b);              /* a zeroed one is fine; the thread must be gone */

/* Runs run(arg) in the thread, and blocks until that has called up. What that was given, -errno or
 * -PMT_E_NO_THREAD: below 0 no thread is left. */
int pmt_background_start(pmt_background *b, void *(*run)(void *), void *arg);
void pmt_background_up(pmt_background *b, int rc); /* below 0: the thread returns at once */
/* The thread has been told to end; blocks until it has. gone: and until the kernel has forgotten it. errno stays. */
void pmt_background_join(pmt_background *b, bool gone);

/* A table with nothing of the program's but, where `keep` is not -1, that number. false: the kernel refuses. */
bool pmt_background_table(int keep);
int pmt_background_output(pmt_output *o, bool own, int keep); /* opens it in the thread's table (own) or the program's; 0 or -errno */

#endif
