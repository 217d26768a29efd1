/* core/io.h - the output file: how it is opened, the one write(2), how it is cut back to its last whole line.
 *
 * Used by one thread at a time (the writer's, or start() before there is one). A regular file is opened in the
 * writer's own descriptor table; a device or pipe is opened before, in the program's table, high and close-on-exec. */
#ifndef PMT_IO_H
#define PMT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/rss.h"

#define PMT_OPEN_OVERWRITE 1u /* replace an existing regular file, by a new inode */
#define PMT_OPEN_UNIQUE 2u    /* a name that exists gets _1, _2 ... before its suffix */
#define PMT_OPEN_APPEND 4u    /* each write goes to the end of a regular file, wherever that is by then */

typedef struct pmt_output {
    char *path;        /* owned (malloc); absolute; the name really used once open */
    unsigned flags;
    pmt_fd fd;
    bool special;      /* a device or pipe: used as it is, never created, cut or reopened */
    bool created;      /* opened once already: opening again means to go on with the same file */
    bool high;         /* was opened in the program's table */
    bool made;         /* there was no such file before */
    int64_t size;      /* bytes written */
    dev_t dev;
    ino_t ino;         /* the file itself, to know it again */
} pmt_output;

extern ssize_t (*pmt_sys_write)(int fd, const void *p, size_t n); /* write(2); tests put a full disk here */

char *pmt_path_beside(const char *path, const char *suffix); /* path and suffix in one, malloc'ed; NULL: no memory */
char *pmt_path_absolute(const char *path); /* by the current directory, malloc'ed; NULL: errno set */

int pmt_reserve(int fd, size_t n); /* room on the disk for the first n bytes: 0 or -errno, and never a signal */
int pmt_output_init(pmt_output *o, const char *path, unsigned flags); /* 0 or -errno; looks whether it is special */
void pmt_output_free(pmt_output *o);                                  /* does not close */
int pmt_output_create(pmt_output *o); /* a regular file, closed again: its name is known, opening goes on with it; 0 or -errno */
int pmt_output_open(pmt_output *o, bool high); /* create, or go on with what was created; 0 or -errno;
                                                  -EDEADLK: a pipe that this process reads itself */
void pmt_output_close(pmt_output *o);
int pmt_output_write(pmt_output *o, const char *bytes, size_t n);     /* all of it: 0 or -errno */
int pmt_output_cut(pmt_output *o, int64_t size); /* a regular file only: 0 or -errno */
int pmt_output_check(const pmt_output *o);       /* 0; -EBADF: no longer ours; -ENOENT: removed meanwhile */

#endif
