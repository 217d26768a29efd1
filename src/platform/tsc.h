/* platform/tsc.h - the processor's cycle counter: what it is called here, and whether it can be trusted as a clock.
 * Any thread, no lock. On arm the counter is slow (tens of MHz), so the gate stays off there until it is measured. */
#ifndef PMT_TSC_H
#define PMT_TSC_H

#include <stdbool.h>
#include <stdint.h>

#if !defined(__linux__)
#error "pymemtrace builds on Linux only: it reads RSS from /proc and sleeps by futex"
#endif

#if defined(__x86_64__)
#include "platform/tsc_x86.h"
#elif defined(__aarch64__)
#include "platform/tsc_arm.h"
#else
#error "pymemtrace builds on x86-64 (and aarch64, with the gate off) only"
#endif

#endif
