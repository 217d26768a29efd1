/* DESIGN: close_range(CLOSE_RANGE_UNSHARE) gives the thread a table of its own, in which only /dev/null (as 0 to 2) and what
 * it opens itself are open. The program can neither close nor see that, and no child inherits it. A device or pipe has to be
 * opened before (opening a pipe anew would end it for its reader): its number is inherited. Where the kernel refuses, what
 * the thread opens stays in the program's table, high, and is checked before each use. */
#include "core/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/futex.h"

#define LOOK_NS 200000000 /* how often one that waits for a thread looks by itself */
#define GONE_TRIES 20000  /* of 50 us: how long a thread may take to leave the kernel's list */

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_STDERR 1 /* a sanitizer speaks on 2 */
#define STACK_BYTES (1u << 21)
#else
#define KEEP_STDERR 0
#define STACK_BYTES (1u << 17)
#endif

int pmt_background_init(pmt_background *b, pmt_arena *a)
{
    memset(b, 0, sizeof *b);
    b->arena = a;
    b->stack = pmt_arena_map(a, STACK_BYTES);
    return b->stack == NULL ? -errno : 0;
}

void pmt_background_free(pmt_background *b)
{
    if (b->stack != NULL) {
        pmt_arena_unmap(b->arena, b->stack, STACK_BYTES);
        b->stack = NULL;
    }
}

bool pmt_background_table(int keep)
{
    int low = KEEP_STDERR ? 3 : 0;
    long rc = 0;
    if (keep >= low) {
        rc = keep > low ? syscall(SYS_close_range, (unsigned)low, (unsigned)keep - 1, CLOSE_RANGE_UNSHARE) : 0;
        if (rc == 0) {
            rc = syscall(SYS_close_range, (unsigned)keep + 1, ~0u, CLOSE_RANGE_UNSHARE);
        }
    }
    else {
        rc = syscall(SYS_close_range, (unsigned)low, ~0u, CLOSE_RANGE_UNSHARE);
    }
    if (rc != 0) {
        return false;
    }
    for (int fd = 0; fd < low; fd++) {
        if (fd < 2) {
            close(fd);
        }
    }
    int null;
    do { /* 0 to 2 stand for /dev/null: a stray message of libc must not land in a file of ours */
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (null >= 0 && null < 2);
    if (null > 2) {
        close(null);
    }
    return true;
}

int pmt_background_output(pmt_output *o, bool own, int keep)
{
    int rc = pmt_output_open(o, !own);
    for (int stray = 0; rc == -EMFILE && own && stray < 2; stray++) {
        if (stray != keep) {
            close(stray); /* a limit of three: a file is worth more than places for stray messages */
            rc = pmt_output_open(o, false);
        }
    }
    return rc;
}

void pmt_background_up(pmt_background *b, int rc)
{
    atomic_store_explicit(&b->tid, (int)syscall(SYS_gettid), memory_order_relaxed);
    atomic_store_explicit(&b->start_error, rc, memory_order_relaxed);
    atomic_store(&b->ready, 1);
    pmt_futex_wake(&b->ready);
}

const char *pmt_error_text(int rc)
{
    return rc == -PMT_E_NO_THREAD ? "a process whose children go into another PID or time namespace can start no thread"
                                  : strerror(-rc);
}

/* Does the process send its children into another namespace than its own (unshare, setns)? */
static bool children_elsewhere(const char *kind)
{
    char path[48];
    struct stat own, theirs;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (stat(path, &own) < 0) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/self/ns/%s_for_children", kind);
    return stat(path, &theirs) < 0 || theirs.st_ino != own.st_ino; /* there is none before the first child */
}

static int spawn(pmt_background *b, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, saved;
    sigfillset(&all);
    int rc = pthread_attr_init(&attr);
    if (rc == 0) {
        rc = pthread_attr_setstack(&attr, b->stack, STACK_BYTES);
        if (rc == 0) {
            pthread_sigmask(SIG_SETMASK, &all, &saved);
            rc = pthread_create(&b->thread, &attr, run, arg);
            if (rc == EINVAL) { /* the program's thread-local data, which glibc puts on the stack, are larger */
                rc = pthread_create(&b->thread, NULL, run, arg);
            }
            if (rc == EINVAL && (children_elsewhere("pid") || children_elsewhere("time"))) {
                rc = PMT_E_NO_THREAD;
            }
            pthread_sigmask(SIG_SETMASK, &saved, NULL);
        }
        pthread_attr_destroy(&attr);
    }
    return -rc;
}

int pmt_background_start(pmt_background *b, void *(*run)(void *), void *arg)
{
    atomic_store(&b->ready, 0);
    int rc = spawn(b, run, arg);
    if (rc == 0) {
        while (atomic_load(&b->ready) == 0) {
            pmt_futex_wait(&b->ready, 0, LOOK_NS);
        }
        rc = atomic_load_explicit(&b->start_error, memory_order_relaxed);
        b->running = rc == 0;
        if (rc < 0) {
            pthread_join(b->thread, NULL);
        }
    }
    return rc;
}

/* pthread_join returns a moment before the kernel has taken the thread from the process's list, and CPython warns at
 * fork when that list has a second entry. */
static void wait_until_gone(int tid)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/self/task/%d", tid);
    for (int i = 0; i < GONE_TRIES && access(path, F_OK) == 0; i++) {
        usleep(50);
    }
}

void pmt_background_join(pmt_background *b, bool gone)
{
    int saved = errno;
    pthread_join(b->thread, NULL);
    b->running = false;
    if (gone) {
        wait_until_gone(atomic_load_explicit(&b->tid, memory_order_relaxed));
    }
    errno = saved;
}
