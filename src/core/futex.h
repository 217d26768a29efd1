/* core/futex.h - sleep and wake on a 32-bit word within this process. Linux. */
#ifndef PMT_FUTEX_H
#define PMT_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Returns on a wake, a signal, after ns nanoseconds, or at once if *word is not `value`. errno is undefined after. */
static inline void pmt_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t ns)
{
    struct timespec ts = {ns / 1000000000, ns % 1000000000};
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_PRIVATE, value, &ts, NULL, 0);
}

/* The same, until a moment of CLOCK_MONOTONIC, nanoseconds. */
static inline void pmt_futex_wait_until(_Atomic uint32_t *word, uint32_t value, int64_t until_ns)
{
    struct timespec ts = {until_ns / 1000000000, until_ns % 1000000000};
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_BITSET_PRIVATE, value, &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void pmt_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
