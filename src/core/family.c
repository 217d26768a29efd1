#include "core/family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/io.h"

#define MAGIC "PMTFAM01"
#define FOLDER "/dev/shm"
#define PREFIX "pymemtrace_"
#define MOST_LINES (1 << 20) /* bytes of appended lines that are read */

typedef struct pmt_family_shared {
    char magic[8];
    uint32_t root, slots;
    uint64_t root_start;
    _Atomic uint32_t entered; /* processes so far; the root is number 0 */
    _Atomic uint32_t unnoted;
    _Atomic uint32_t cursor;  /* where the search for a slot begins */
    char reserved[4096 - 36];
    pmt_member members[PMT_FAMILY_SLOTS];
} pmt_family_shared;

_Static_assert(offsetof(pmt_family_shared, members) == 4096, "the slots begin with the second page");

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static int map(pmt_family *f, int fd)
{
    void *p = mmap(NULL, sizeof *f->s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    f->s = p == MAP_FAILED ? NULL : p;
    return f->s == NULL ? -errno : 0;
}

/* Is what is mapped here still in the file? Touching what somebody has cut off it would be a SIGBUS. Asked before each
 * use; a cut in the moment between is left. */
static bool there(const void *p)
{
    uintptr_t at = (uintptr_t)p, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return p != NULL && (madvise((void *)(at - at % page), 1, MADV_POPULATE_WRITE) == 0 || errno != EFAULT);
}

static unsigned long pid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (unsigned long)st.st_ino : 0;
}

/* What runs have left whose first process was killed: a file in memory, which nobody else takes away. */
static void sweep(void)
{
    unsigned long here = pid_namespace();
    DIR *dir = opendir(FOLDER);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        long pid = 0;
        unsigned long there = 0; /* one folder may be shared by containers with process numbers of their own */
        struct stat st;
        if (sscanf(e->d_name, PREFIX "%ld_%lu_", &pid, &there) == 2 && pid > 0 && there == here && kill((pid_t)pid, 0) < 0 && errno == ESRCH &&
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid() && S_ISREG(st.st_mode)) {
            unlinkat(dirfd(dir), e->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

int pmt_family_create(pmt_family *f)
{
    sweep();
    snprintf(f->path, sizeof f->path, FOLDER "/" PREFIX "%ld_%lu_XXXXXX", (long)getpid(), pid_namespace());
    int fd = mkostemp(f->path, O_CLOEXEC);
    if (fd < 0) {
        f->path[0] = '\0';
        return -errno;
    }
    int rc = pmt_reserve(fd, sizeof *f->s); /* a full /dev/shm is an error now, no SIGBUS later */
    rc = rc < 0 ? rc : map(f, fd);
    close(fd);
    if (rc < 0) {
        unlink(f->path);
        f->path[0] = '\0';
        return rc;
    }
    f->root = f->s->root = (uint32_t)getpid();
    f->root_start = f->s->root_start = pmt_process_start_ticks(getpid());
    f->s->slots = PMT_FAMILY_SLOTS;
    memcpy(f->s->magic, MAGIC, sizeof f->s->magic);
    f->me = NULL;
    f->me_pid = 0;
    pmt_family_enter(f);
    return 0;
}

int pmt_family_join(pmt_family *f, const char *path)
{
    struct stat st;
    if (strlen(path) >= sizeof f->path) {
        return -ENAMETOOLONG;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int rc = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof *f->s ? -EINVAL : map(f, fd);
    close(fd);
    if (rc == 0 && (!there(f->s) || memcmp(f->s->magic, MAGIC, sizeof f->s->magic) != 0 || f->s->slots != PMT_FAMILY_SLOTS)) {
        munmap(f->s, sizeof *f->s);
        f->s = NULL;
        rc = -EINVAL;
    }
    if (rc == 0) {
        strcpy(f->path, path);
        f->root = f->s->root;
        f->root_start = f->s->root_start;
        f->me = NULL;
        f->me_pid = 0;
    }
    return rc;
}

bool pmt_family_root(const pmt_family *f)
{
    if (f->s == NULL || f->root != (uint32_t)getpid()) {
        return false;
    }
    uint64_t start = pmt_process_start_ticks(getpid());
    return start == 0 || start == f->root_start; /* 0: no descriptor is left to look */
}

/* Its file is whole, or it was killed and somebody has brought back what it left: nothing about it needs to be said. */
static bool nothing_left(const pmt_member *m, uint32_t state)
{
    char ring[sizeof m->path + 8];
    if (state == PMT_MEMBER_RECORDING && !pmt_family_alive(m) && m->path[0] != '\0') {
        snprintf(ring, sizeof ring, "%.*s.ring", (int)sizeof m->path - 1, m->path);
        return access(ring, F_OK) < 0 && errno == ENOENT;
    }
    return state == PMT_MEMBER_ENDED;
}

static pmt_member *take_slot(pmt_family_shared *s, uint32_t seq)
{
    if (seq < PMT_FAMILY_SLOTS) {
        return there(&s->members[seq]) ? &s->members[seq] : NULL;
    }
    for (uint32_t tried = 1; tried < PMT_FAMILY_SLOTS; tried++) {
        pmt_member *m = &s->members[1 + atomic_fetch_add(&s->cursor, 1) % (PMT_FAMILY_SLOTS - 1)];
        if (!there(m)) {
            return NULL;
        }
        uint32_t state = atomic_load(&m->state), pid = m->pid;
        if (state != PMT_MEMBER_NONE && nothing_left(m, state) &&
            atomic_compare_exchange_strong(&m->state, &state, PMT_MEMBER_NONE)) {
            if (m->pid == pid) {
                return m;
            }
            atomic_store(&m->state, state); /* another was faster, and has it already */
        }
    }
    atomic_fetch_add(&s->unnoted, 1);
    return NULL;
}

void pmt_family_enter(pmt_family *f)
{
    if (f->me_pid == (long)getpid() || !there(f->s)) {
        return;
    }
    bool again = pmt_family_root(f) && atomic_load(&f->s->entered) > 0; /* the root after an exec */
    f->seq = again ? 0 : atomic_fetch_add(&f->s->entered, 1);
    f->me_pid = (long)getpid();
    f->me = take_slot(f->s, f->seq);
    if (f->me != NULL) {
        f->me->pid = (uint32_t)getpid();
        f->me->parent = (uint32_t)getppid();
        f->me->pid_start = pmt_process_start_ticks(getpid());
        f->me->path[0] = f->me->reason[0] = '\0';
    }
}

void pmt_family_say(pmt_family *f, pmt_member_state state, const char *path, const char *reason)
{
    if (f->s == NULL || f->me_pid != (long)getpid() || !there(f->me)) {
        return;
    }
    if (f->me->pid != (uint32_t)getpid()) { /* its recording had ended, and the slot was given to another */
        f->me = NULL;
        f->me_pid = 0;
        pmt_family_enter(f);
        if (f->me == NULL) {
            return;
        }
    }
    path = path == NULL ? f->me->path : strlen(path) < sizeof f->me->path ? path : "";
    if (strcmp(path, f->me->path) != 0) { /* what is there already is never in pieces: a kill may come at any moment */
        snprintf(f->me->path, sizeof f->me->path, "%s", path);
    }
    if (reason != NULL) {
        snprintf(f->me->reason, sizeof f->me->reason, "%s", reason);
    }
    atomic_store(&f->me->state, state);
}

void pmt_family_remove(pmt_family *f)
{
    if (f->path[0] != '\0') {
        unlink(f->path);
    }
    if (f->s != NULL) {
        munmap(f->s, sizeof *f->s);
    }
    *f = (pmt_family){.seq = f->seq};
}

bool pmt_family_next(const pmt_family *f, uint32_t *at, pmt_member *out)
{
    while (f->s != NULL && ++*at < PMT_FAMILY_SLOTS) {
        const pmt_member *m = &f->s->members[*at];
        if (there(m) && atomic_load(&((pmt_member *)m)->state) != PMT_MEMBER_NONE) {
            memcpy(out, m, sizeof *out);
            out->path[sizeof out->path - 1] = out->reason[sizeof out->reason - 1] = '\0';
            return true;
        }
    }
    return false;
}

bool pmt_family_alive(const pmt_member *m)
{
    return m->pid != 0 && pmt_process_start_ticks((long)m->pid) == m->pid_start;
}

uint32_t pmt_family_unnoted(const pmt_family *f)
{
    return there(f->s) ? atomic_load(&f->s->unnoted) : 0;
}

char *pmt_family_lines(const pmt_family *f)
{
    int fd = f->path[0] == '\0' ? -1 : open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    off_t begin = (off_t)sizeof *f->s, n = fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? 0 : st.st_size - begin;
    n = n > MOST_LINES ? MOST_LINES : n;
    char *text = n > 0 ? malloc((size_t)n + 1) : NULL;
    ssize_t done = text == NULL ? 0 : pread(fd, text, (size_t)n, begin);
    if (fd >= 0) {
        close(fd);
    }
    if (done <= 0) {
        free(text);
        return NULL;
    }
    text[done] = '\0';
    return text;
}

bool pmt_family_next_line(char **at, unsigned *pid, unsigned *parent, char **reason)
{
    while (*at != NULL && **at != '\0') {
        char *line = *at, *end = strchr(line, '\n');
        int used = 0;
        *at = end == NULL ? line + strlen(line) : end + 1;
        if (end != NULL) {
            *end = '\0';
        }
        if (sscanf(line, "%u\t%u\t%n", pid, parent, &used) == 2 && used > 0) {
            *reason = line + used;
            return true;
        }
    }
    return false;
}
