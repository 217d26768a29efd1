/* platform/tsc_x86.h - rdtsc. Only included by tsc.h. */
#ifndef PMT_TSC_X86_H
#define PMT_TSC_X86_H

#include <cpuid.h>
#include <x86intrin.h>

static inline uint64_t pmt_tsc_read(void)
{
    return __rdtsc();
}

/* CPUID 0x80000007, EDX bit 8: constant rate, does not stop in sleep states, the same on all cores. */
static inline bool pmt_tsc_invariant(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & (1u << 8)) != 0;
}

#endif
