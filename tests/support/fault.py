"""System calls that go wrong when a test says so: a library to preload that kills, or refuses, at the n-th call which
names a file whose path holds a given text. Calls that write a part can be killed in the middle.
"""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

KILL, TEAR, BLOCK = range(3)  # before the call; within it, a write half done; sleep for ever instead
REFUSE = 3  # ENOSPC from then on, of what needs room

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char wanted[4096], excluded[64], told[4096];
static volatile int number, kind, seen;

/* name: part of a path; without: paths that end so do not count; n: from 1, 0 disarms; told_in: where to say what. */
void pmt_fault_arm(const char *name, const char *without, int n, int how, const char *told_in)
{
    snprintf(wanted, sizeof wanted, "%s", name);
    snprintf(excluded, sizeof excluded, "%s", without);
    snprintf(told, sizeof told, "%s", told_in);
    seen = 0;
    kind = how;
    number = n;
}

int pmt_fault_seen(void)
{
    return seen;
}

static void tell(const char *call, const char *path)
{
    char line[4200];
    int n = snprintf(line, sizeof line, "%s %s\n", call, path);
    long fd = syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0) {
        syscall(SYS_write, (int)fd, line, (size_t)n);
        syscall(SYS_close, (int)fd);
    }
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

/* 0: the call is to be made; 1: to be made in part, then it ends; -1: to be refused. */
static int fault(const char *call, const char *path)
{
    if (number == 0 || path == NULL || strstr(path, wanted) == NULL) {
        return 0;
    }
    size_t n = strlen(path), m = strlen(excluded);
    if (m != 0 && n >= m && strcmp(path + n - m, excluded) == 0) {
        return 0;
    }
    if (kind == 3 && strcmp(call, "write") != 0 && strcmp(call, "posix_fallocate") != 0) {
        return 0; /* a full disk takes no bytes, but lets go of some */
    }
    int now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (now < number || (now > number && kind != 3)) {
        return 0;
    }
    if (now == number) {
        tell(call, path);
    }
    switch (kind) {
    case 0:
        die();
        return 0;
    case 1:
        return 1;
    case 2:
        for (;;) {
            pause();
        }
    default:
        return -1;
    }
}

static int fault_fd(const char *call, int fd)
{
    char link[64], path[4096];
    if (number == 0) {
        return 0;
    }
    snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd); /* a thread may have descriptors of its own */
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) {
        return 0;
    }
    path[n] = '\0';
    return fault(call, path);
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define GUARD(what)           \
    do {                      \
        int f_ = (what);      \
        if (f_ < 0) {         \
            errno = ENOSPC;   \
            return -1;        \
        }                     \
        if (f_ > 0) {         \
            die();            \
        }                     \
    } while (0)

ssize_t write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    int f = fault_fd("write", fd);
    if (f > 0) {
        real(fd, p, n / 2);
        die();
    }
    if (f < 0) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, p, n);
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(args, int) : 0;
}

#define OPEN(symbol)                                                                           \
    int symbol(const char *path, int flags, ...)                                               \
    {                                                                                          \
        REAL(int, #symbol, const char *, int, ...);                                            \
        va_list args;                                                                          \
        va_start(args, flags);                                                                 \
        mode_t mode = mode_of(flags, args);                                                    \
        va_end(args);                                                                          \
        if ((flags & O_ACCMODE) != O_RDONLY) {                                                 \
            GUARD(fault("open", path));                                                        \
        }                                                                                      \
        return real(path, flags, mode);                                                        \
    }
OPEN(open)
OPEN(open64)

int ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    GUARD(fault_fd("ftruncate", fd));
    return real(fd, size);
}

int truncate(const char *path, off_t size)
{
    REAL(int, "truncate", const char *, off_t);
    GUARD(fault("truncate", path));
    return real(path, size);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    GUARD(fault("unlink", path));
    return real(path);
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    GUARD(fault("rename", to));
    return real(from, to);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    REAL(int, "posix_fallocate", int, off_t, off_t);
    int f = fault_fd("posix_fallocate", fd);
    if (f > 0) {
        die();
    }
    return f < 0 ? ENOSPC : real(fd, at, size);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) {
        real = dlsym(RTLD_NEXT, "mmap");
    }
    if (fd >= 0 && fault_fd("mmap", fd) > 0) {
        die();
    }
    return real(at, n, protection, flags, fd, offset);
}
"""


def build(folder: Path) -> Path:
    """The library, built into `folder`. Skips the test where there is no compiler."""
    source, library = folder / "fault.c", folder / "fault.so"
    source.write_text(SOURCE, "utf-8")
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip(f"no C compiler {compiler[0]!r}")
    assert done.returncode == 0, done.stderr
    return library
