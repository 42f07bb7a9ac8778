// Opens a region for AVX-512 F, BW, DQ, VL and VNNI; isa_end.h closes it.
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
#define KERNEL(name) apus_##name##_avx512vnni
