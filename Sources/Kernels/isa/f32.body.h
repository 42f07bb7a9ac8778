// All f32 kernels, for the target region that is open.
#include "../activation/activation_f32.body.h"
#include "../attention/attention_f32.body.h"
#include "../gemm/gemm_f32.body.h"
#include "../layernorm/layernorm_f32.body.h"
#include "../peak/peak_f32.body.h"
#include "../quantization/quantize_u8.body.h"
