// Opens a region for AVX2 and FMA; isa_end.h closes it.
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define KERNEL(name) apus_##name##_avx2
