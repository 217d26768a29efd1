/* core/arena.c without pages made ready beforehand: most of the time of a fuzzer would be that. */
#include <sys/mman.h>

#undef MAP_POPULATE
#define MAP_POPULATE 0

#include "../../src/core/arena.c"
