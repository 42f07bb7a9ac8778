// Weights into panels of this set's order. Included by isa/int8.body.h, behind a tile_u8s8_ISA.h.

void KERNEL(pack_s8)(const int8_t *w, size_t stride, size_t columns, size_t inner, int8_t *panel, int32_t *sums) {
    enum { STEP = U8S8_PACK };
    size_t padded = (inner + U8S8_INNER - 1) / U8S8_INNER * U8S8_INNER;
    memset(panel, U8S8_FLIP, padded * APUS_PANEL);
    memset(sums, 0, APUS_PANEL * sizeof *sums);
    for (size_t n = 0; n < columns; n++, w += stride) {
        int8_t *place = panel + n * STEP;
        size_t k = 0;
        for (; k + STEP <= inner; k += STEP, place += STEP * APUS_PANEL) memcpy(place, w + k, STEP);
        memcpy(place, w + k, inner - k); // steps past `inner` are zero already
        int32_t sum = 0;
        for (k = 0; k < inner; k++) sum += w[k];
        sums[n] = sum;
        if (!U8S8_FLIP) continue;
        place = panel + n * STEP;
        for (k = 0; k < inner; k++) place[k / STEP * STEP * APUS_PANEL + k % STEP] ^= (int8_t)U8S8_FLIP;
    }
}
