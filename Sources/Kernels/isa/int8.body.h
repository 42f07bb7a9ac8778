// The int8 kernels around tile_u8s8_ISA.h, for the target region that is
// open; and the set's row of the table.
#include "../attention/attention_u8s8.body.h"
#include "../gemm/gemm_u8s8.body.h"
#include "../gemm/pack_s8.body.h"

// The table's own types declare the kernels: `__typeof__` of a member, without its pointer.
#define DECLARE_F32(kernel) extern __typeof__(*((apus_kernels *)0)->kernel) F32_KERNEL(kernel);
DECLARE_F32(gemm_f32)
DECLARE_F32(quantize_u8)
DECLARE_F32(quantize_relative_u8)
DECLARE_F32(layernorm_f32)
DECLARE_F32(gelu_f32)
DECLARE_F32(gelu_tanh_f32)
DECLARE_F32(silu_f32)
DECLARE_F32(relu_f32)
DECLARE_F32(tanh_f32)
DECLARE_F32(softmax_f32)
DECLARE_F32(attention_f32)
DECLARE_F32(attention_f32_scratch)
DECLARE_F32(peak_f32)

extern const apus_kernels KERNEL(kernels);
const apus_kernels KERNEL(kernels) = {
    .isa = QUOTE_EXPANDED(ISA),
    .f32_isa = QUOTE_EXPANDED(F32_ISA),
#if defined(U8S8_THREAD_STATE)
    .thread_begin = KERNEL(thread_begin),
    .thread_end = KERNEL(thread_end),
#endif
    .rows_u8s8 = U8S8_ROWS,
    .rows_f32 = F32_ROWS,
    .inner_step = U8S8_INNER,
    .pack_s8 = KERNEL(pack_s8),
    .gemm_u8s8 = KERNEL(gemm_u8s8),
    .gemm_f32 = F32_KERNEL(gemm_f32),
    .quantize_u8 = F32_KERNEL(quantize_u8),
    .quantize_relative_u8 = F32_KERNEL(quantize_relative_u8),
    .layernorm_f32 = F32_KERNEL(layernorm_f32),
    .gelu_f32 = F32_KERNEL(gelu_f32),
    .gelu_tanh_f32 = F32_KERNEL(gelu_tanh_f32),
    .silu_f32 = F32_KERNEL(silu_f32),
    .relu_f32 = F32_KERNEL(relu_f32),
    .tanh_f32 = F32_KERNEL(tanh_f32),
    .softmax_f32 = F32_KERNEL(softmax_f32),
    .attention_f32 = F32_KERNEL(attention_f32),
    .attention_u8s8 = KERNEL(attention_u8s8),
    .attention_f32_scratch = F32_KERNEL(attention_f32_scratch),
    .attention_u8s8_scratch = KERNEL(attention_u8s8_scratch),
    .peak_u8s8 = KERNEL(peak_u8s8),
    .peak_f32 = F32_KERNEL(peak_f32),
};
