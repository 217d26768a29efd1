/* platform/tsc_arm.h - the virtual counter. Only included by tsc.h. */
#ifndef PMT_TSC_ARM_H
#define PMT_TSC_ARM_H

static inline uint64_t pmt_tsc_read(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

/* Too coarse to tell a page fault from none: the monotonic clock is used and every event is read. */
static inline bool pmt_tsc_invariant(void)
{
    return false;
}

#endif
