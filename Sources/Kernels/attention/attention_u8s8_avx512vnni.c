#if defined(__x86_64__)
#include <immintrin.h>

#include "../include/apus_kernels.h"
#include "../vector/isa_avx512vnni.h"
#include "../gemm/tile_u8s8_avx512vnni.h"
#include "attention_u8s8.body.h"
#include "../vector/isa_end.h"
#endif
