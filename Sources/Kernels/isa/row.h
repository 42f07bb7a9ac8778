// What a file of isa/ begins with. An instruction set is one such file, compiled once over all bodies, and one line of
// dispatch.c. The file defines
//     ISA         the set's name
//     F32_ISA     the set whose f32 kernels it has: its own or another's
// opens its target region, and includes
//     tile_f32_F32_ISA.h, and f32.body.h if these kernels are its own
//     tile_u8s8_ISA.h and int8.body.h
#ifndef APUS_ROW_H
#define APUS_ROW_H
#include "../include/apus_kernels.h"

#define JOIN(kernel, isa) apus_##kernel##_##isa
#define JOIN_EXPANDED(kernel, isa) JOIN(kernel, isa)
#define QUOTE(name) #name
#define QUOTE_EXPANDED(name) QUOTE(name)

/// The symbol of this set's kernel: apus_gemm_u8s8_avx2. The other of its f32 kernels.
#define KERNEL(name) JOIN_EXPANDED(name, ISA)
#define F32_KERNEL(name) JOIN_EXPANDED(name, F32_ISA)

#endif
