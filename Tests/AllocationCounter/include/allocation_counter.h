// Counts what a process asks of the C library's allocator, Swift's runtime included, by standing before it.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stddef.h>

/// Whether this build counts: on glibc, and not under a sanitizer, which stands there itself.
int allocation_counter_works(void);

/// Calls of malloc, calloc, realloc and the aligned ones so far, on all threads.
size_t allocation_counter_count(void);

#endif
