/* platform/usage.h - what the kernel says of this process as a whole: memory and its parts, faults, CPU time, threads.
 *
 * For one thread at a time. Nothing allocates. */
#ifndef PMT_USAGE_H
#define PMT_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/rss.h"

#define PMT_USAGE_UNKNOWN INT64_MIN /* the kernel does not tell */

typedef struct pmt_usage {
    int64_t rss, peak_rss, anon, file, shmem, vms; /* bytes; rss is anon + file + shmem */
    int64_t pss, uss;                              /* bytes; by pmt_usage_shares */
    int64_t minor_faults, major_faults, threads;
    int64_t user_us, system_us;                    /* CPU time of all threads */
} pmt_usage;

typedef struct pmt_usage_files {
    pmt_fd status, statm, task, rollup;
    bool high;               /* in the program's table: out of its way */
    bool peak_is_hwm;        /* ru_maxrss is somebody else's (it survives exec) */
    int64_t page, granularity; /* bytes; of the peak */
    int64_t mapped, shmem;   /* bytes, when status was read last: files and shared memory in RSS, of it shared memory */
} pmt_usage_files;

/* high: this thread has no descriptor table of its own. 0 or -errno; without smaps_rollup there are no shares. */
int pmt_usage_open(pmt_usage_files *f, bool high);
void pmt_usage_close(pmt_usage_files *f);
/* All but the shares, which become unknown. 0 or -errno. whole: nothing may be left out that was so a moment ago: otherwise
 * as much shared memory as then may have been mapped as of files was unmapped. */
int pmt_usage_read(pmt_usage_files *f, pmt_usage *u, bool whole);
void pmt_usage_shares(pmt_usage_files *f, pmt_usage *u); /* walks the page tables: takes long in a large process */
int64_t pmt_usage_threads(void); /* threads of this process now; 1 where that cannot be told */

#endif
