// layer norm; the including file has opened a target region and defined KERNEL(name).
#include "../quantization/quantize.h"

void KERNEL(layernorm_f32)(const float *x, const float *gamma, const float *beta, float epsilon, size_t rows,
                           size_t columns, float *out, const apus_rows_u8 *quantized) {
    size_t whole = columns / LANES * LANES;
    size_t rest = columns - whole;
    for (size_t row = 0; row < rows; row++, x += columns, out += columns) {
        lanes16 sum = (lanes16)0.0f;
        for (size_t c = 0; c < whole; c += LANES) sum += lanes_load(x + c);
        if (rest) sum += lanes_load_part(x + whole, rest, 0.0f);
        lanes16 mean = (lanes16)(lanes_sum(sum) / (float)columns);
        lanes16 squares = (lanes16)0.0f;
        for (size_t c = 0; c < whole; c += LANES) {
            lanes16 centred = lanes_load(x + c) - mean;
            squares = lanes_fma(centred, centred, squares);
        }
        if (rest) {
            lanes16 centred = lanes_keep(lanes_load_part(x + whole, rest, 0.0f) - mean, rest, 0.0f);
            squares = lanes_fma(centred, centred, squares);
        }
        float variance = lanes_sum(squares) / (float)columns;
        lanes16 scale = (lanes16)(1.0f / __builtin_sqrtf(variance + epsilon));
        row_range range = range_start();
        for (size_t c = 0; c < whole; c += LANES) {
            lanes16 normal = (lanes_load(x + c) - mean) * scale;
            lanes16 y = lanes_fma(normal, lanes_load(gamma + c), lanes_load(beta + c));
            range = range_add(range, y);
            lanes_store(out + c, y);
        }
        if (rest) {
            lanes16 normal = (lanes_load_part(x + whole, rest, 0.0f) - mean) * scale;
            lanes16 y = lanes_fma(normal, lanes_load_part(gamma + whole, rest, 0.0f),
                                  lanes_load_part(beta + whole, rest, 0.0f));
            range = range_add(range, lanes_keep(y, rest, 0.0f));
            lanes_store_part(out + whole, y, rest);
        }
        if (quantized)
            quantize_row(out, columns, range, quantized->values + row * quantized->stride, &quantized->scale[row],
                         &quantized->zero[row]);
    }
}
