#include "core/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIQUE_TRIES 10000
#define OWN_READER_TRIES 8 /* of 10 ms */

ssize_t (*pmt_sys_write)(int fd, const void *p, size_t n) = write;

char *pmt_path_beside(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix) + 1;
    char *name = malloc(n + m);
    if (name != NULL) {
        memcpy(name, path, n);
        memcpy(name + n, suffix, m);
    }
    return name;
}

char *pmt_path_absolute(const char *path)
{
    if (path[0] == '/') {
        return strdup(path);
    }
    char cwd[PATH_MAX];
    if (getcwd(cwd, sizeof cwd) == NULL) {
        return NULL;
    }
    size_t n = strlen(cwd) + strlen(path) + 2;
    char *whole = malloc(n);
    if (whole != NULL) {
        snprintf(whole, n, "%s%s%s", cwd, strcmp(cwd, "/") == 0 ? "" : "/", path);
    }
    return whole;
}

int pmt_reserve(int fd, size_t n)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur < n) {
        return -EFBIG; /* the kernel would send SIGXFSZ as well */
    }
    return -posix_fallocate(fd, 0, (off_t)n);
}

int pmt_output_init(pmt_output *o, const char *path, unsigned flags)
{
    struct stat st;
    *o = (pmt_output){.flags = flags, .fd.fd = -1};
    o->path = strdup(path);
    if (o->path == NULL) {
        return -ENOMEM;
    }
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return -EISDIR;
        }
        o->special = !S_ISREG(st.st_mode);
    }
    return 0;
}

void pmt_output_free(pmt_output *o)
{
    free(o->path);
    o->path = NULL;
}

static int take(pmt_output *o, int fd, bool high)
{
    struct stat st;
    if (high) {
        int rc = pmt_fd_open(&o->fd, fd);
        if (rc < 0) {
            return rc;
        }
    }
    if (fstat(high ? o->fd.fd : fd, &st) < 0) {
        int rc = -errno;
        close(high ? o->fd.fd : fd);
        o->fd.fd = -1;
        return rc;
    }
    if (!high) {
        o->fd = (pmt_fd){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    }
    o->dev = st.st_dev;
    o->ino = st.st_ino;
    if (!o->special && (o->flags & PMT_OPEN_APPEND)) {
        fcntl(o->fd.fd, F_SETFL, O_APPEND);
    }
    o->created = true;
    o->high = high;
    return 0;
}

/* job.log, job_1.log, job_2.log ... O_EXCL: a file that exists is never touched. */
static int create_unique(pmt_output *o)
{
    size_t n = strlen(o->path);
    char *name = malloc(n + 16);
    if (name == NULL) {
        return -ENOMEM;
    }
    const char *slash = strrchr(o->path, '/'), *dot = strrchr(o->path, '.');
    size_t stem = dot != NULL && (slash == NULL || dot > slash + 1) ? (size_t)(dot - o->path) : n;
    int fd = -1;
    for (int i = 0; fd < 0 && i < UNIQUE_TRIES; i++) {
        if (i == 0) {
            memcpy(name, o->path, n + 1);
        }
        else {
            snprintf(name, n + 16, "%.*s_%d%s", (int)stem, o->path, i, o->path + stem);
        }
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) {
            break;
        }
    }
    if (fd < 0) {
        int rc = -errno;
        free(name);
        return rc;
    }
    free(o->path);
    o->path = name;
    o->made = true;
    return fd;
}

/* A new inode under a name of its own, then over the old one: what was there is whole until ours is there. */
static int create_over(const pmt_output *o)
{
    size_t n = strlen(o->path) + 48;
    char *name = malloc(n);
    if (name == NULL) {
        return -ENOMEM;
    }
    int fd = -1;
    for (int i = 0; fd < 0 && i < UNIQUE_TRIES; i++) { /* one may be left over from a process that was killed */
        snprintf(name, n, "%s.%ld.%d.new", o->path, (long)getpid(), i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) {
            break;
        }
    }
    int rc = fd < 0 ? -errno : fd;
    if (fd >= 0 && rename(name, o->path) < 0) {
        rc = -errno;
        unlink(name);
        close(fd);
    }
    free(name);
    return rc;
}

static int create(pmt_output *o)
{
    struct stat st;
    if (o->flags & PMT_OPEN_UNIQUE) {
        return create_unique(o);
    }
    int fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) {
        o->made = fd >= 0;
        return fd < 0 ? -errno : fd;
    }
    if (o->flags & PMT_OPEN_OVERWRITE) {
        return create_over(o);
    }
    fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != 0) {
        close(fd);
        return -EEXIST;
    }
    return fd;
}

static int reopen(const pmt_output *o)
{
    struct stat st;
    int fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0 || st.st_dev != o->dev || st.st_ino != o->ino) {
        close(fd);
        return -ENOENT; /* the name is another file's now */
    }
    if (lseek(fd, o->size, SEEK_SET) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* Does this process hold the reading end of the pipe that fd writes to? It could not empty it while it waits for us. */
static bool reading_end_here(int fd, const struct stat *pipe)
{
    struct stat st;
    DIR *dir = opendir("/proc/self/fd");
    bool found = false;
    for (struct dirent *e; dir != NULL && !found && (e = readdir(dir)) != NULL;) {
        int other = atoi(e->d_name), flags = e->d_name[0] == '.' ? -1 : fcntl(other, F_GETFL);
        found = flags >= 0 && other != fd && (flags & O_ACCMODE) != O_WRONLY && fstat(other, &st) == 0 &&
                st.st_dev == pipe->st_dev && st.st_ino == pipe->st_ino;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* A thread that is just opening it lets us through before its own number is there: looked for a while. */
static bool read_by_ourselves(int fd)
{
    struct stat pipe;
    bool found = false;
    if (fstat(fd, &pipe) == 0 && S_ISFIFO(pipe.st_mode)) {
        for (int i = 0; i < OWN_READER_TRIES && !found; i++) {
            usleep(i == 0 ? 0 : 10000);
            found = reading_end_here(fd, &pipe);
        }
    }
    return found;
}

int pmt_output_create(pmt_output *o)
{
    if (o->special || o->created) {
        return 0;
    }
    int fd = create(o), rc = fd < 0 ? fd : take(o, fd, false);
    if (rc == 0) {
        close(fd);
        o->fd.fd = -1;
    }
    return rc;
}

int pmt_output_open(pmt_output *o, bool high)
{
    int fd;
    if (o->special) {
        do { /* a FIFO waits for its reader, and a signal may come meanwhile */
            fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        } while (fd < 0 && errno == EINTR);
        fd = fd < 0 ? -errno : fd;
        if (fd >= 0 && read_by_ourselves(fd)) {
            close(fd);
            return -EDEADLK;
        }
    }
    else {
        fd = o->created ? reopen(o) : create(o);
    }
    return fd < 0 ? fd : take(o, fd, high);
}

void pmt_output_close(pmt_output *o)
{
    pmt_fd_close(&o->fd);
}

int pmt_output_write(pmt_output *o, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = pmt_sys_write(o->fd.fd, bytes, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? -errno : -EIO;
        }
        bytes += done;
        n -= (size_t)done;
        o->size += done;
    }
    return 0;
}

int pmt_output_cut(pmt_output *o, int64_t size)
{
    if (o->special) {
        return -ESPIPE;
    }
    if (ftruncate(o->fd.fd, size) < 0 || lseek(o->fd.fd, size, SEEK_SET) < 0) {
        return -errno;
    }
    o->size = size;
    return 0;
}

int pmt_output_check(const pmt_output *o)
{
    struct stat st;
    if (fstat(o->fd.fd, &st) < 0 || st.st_dev != o->dev || st.st_ino != o->ino) {
        return -EBADF;
    }
    return !o->special && st.st_nlink == 0 ? -ENOENT : 0;
}
