/* platform/rss.h - the kernel's figures for this process's memory.
 *
 * A pmt_rss is used by one thread at a time (the traced threads use it under the GIL). Its descriptors live in the
 * program's table, high and close-on-exec; the program may close or reuse their numbers at any time, so nothing here
 * closes or trusts a number without looking at what stands behind it. Nothing allocates. */
#ifndef PMT_RSS_H
#define PMT_RSS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct pmt_fd {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino; /* what the number stood for when we opened it */
} pmt_fd;

typedef struct pmt_rss {
    pmt_fd proc;        /* the folder /proc: a chroot does not take it away */
    pmt_fd statm;       /* /proc/self/statm */
    int64_t page;       /* bytes a page */
    bool peak_is_hwm;   /* ru_maxrss is somebody else's (it survives exec): read VmHWM instead */
} pmt_rss;

int pmt_rss_open(pmt_rss *r);      /* 0 or -errno; on failure r is closed */
void pmt_rss_close(pmt_rss *r);    /* closes only what is still ours */
int64_t pmt_rss_read(pmt_rss *r);  /* bytes; reopens once if the reading is not one; -errno */
int64_t pmt_rss_peak(pmt_rss *r);  /* bytes: ru_maxrss, or VmHWM where that is somebody else's; -errno */
int64_t pmt_rss_hwm(void);         /* bytes: VmHWM of /proc/self/status, or -errno; opens and closes the file */
int64_t pmt_rss_peak_granularity(int64_t page); /* bytes by which the kernel's peak counter may be off */

/* Grows and shrinks a mapping page by page. Bytes: one page where the counter is exact, else the largest error. */
int64_t pmt_rss_granularity(pmt_rss *r);

/* A duplicate of fd out of the program's way (close-on-exec); fd is closed. The number, or -errno with fd closed. */
int pmt_fd_high(int fd);
int pmt_fd_open(pmt_fd *f, int fd);       /* takes over the number: 0 or -errno (then it is closed) */
bool pmt_fd_ours(const pmt_fd *f);        /* does the number still stand for what we opened? */
void pmt_fd_close(pmt_fd *f);             /* only if it is ours */

#endif
