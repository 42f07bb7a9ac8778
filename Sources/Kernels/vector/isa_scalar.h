// Any CPU: the compiler lowers the 16 lanes to what the baseline has, fused multiply-add to libm's exact fmaf.
#define KERNEL(name) apus_##name##_scalar
