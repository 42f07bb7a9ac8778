// layer norm; the including file has opened a target region and defined KERNEL(name).
#include "../vector/lanes16.h"

void KERNEL(layernorm_f32)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                           size_t rows, size_t columns, float *out) {
    size_t whole = columns / LANES * LANES;
    size_t rest = columns - whole;
    for (size_t row = 0; row < rows; row++, x += columns, out += columns) {
        lanes16 sum = (lanes16)0.0f;
        for (size_t c = 0; c < columns; c += LANES) {
            lanes16 y = c < whole ? lanes_load(x + c) : lanes_load_part(x + c, rest, 0.0f);
            if (residual) y += c < whole ? lanes_load(residual + c) : lanes_load_part(residual + c, rest, 0.0f);
            sum += y;
            if (c < whole) lanes_store(out + c, y);
            else lanes_store_part(out + c, y, rest);
        }
        lanes16 mean = (lanes16)(lanes_sum(sum) / (float)columns);
        lanes16 squares = (lanes16)0.0f;
        for (size_t c = 0; c < columns; c += LANES) {
            lanes16 centred;
            if (c < whole) {
                centred = lanes_load(out + c) - mean;
            } else {
                centred = lanes_load_part(out + c, rest, 0.0f) - mean;
                for (size_t lane = rest; lane < LANES; lane++) centred[lane] = 0.0f;
            }
            squares = lanes_fma(centred, centred, squares);
        }
        float variance = lanes_sum(squares) / (float)columns;
        lanes16 scale = (lanes16)(1.0f / __builtin_sqrtf(variance + epsilon));
        for (size_t c = 0; c < columns; c += LANES) {
            if (c < whole) {
                lanes16 normal = (lanes_load(out + c) - mean) * scale;
                lanes_store(out + c, lanes_fma(normal, lanes_load(gamma + c), lanes_load(beta + c)));
            } else {
                lanes16 normal = (lanes_load_part(out + c, rest, 0.0f) - mean) * scale;
                lanes16 y = lanes_fma(normal, lanes_load_part(gamma + c, rest, 0.0f),
                                      lanes_load_part(beta + c, rest, 0.0f));
                lanes_store_part(out + c, y, rest);
            }
        }
        if (residual) residual += columns;
    }
}
