// GELU over 16 lanes. Include only inside a target region.
#ifndef APUS_GELU_H
#define APUS_GELU_H
#include "../vector/lanes16.h"

/// x·Φ(x) = x/2 · (1 + erf(x/√2)). erf: the rational approximation of Eigen and XLA (odd, degree 13 over 8), within
/// 3e-7 up to 4; 1 from there on, where f32 has nothing left.
APUS_INLINE lanes16 lanes_gelu(lanes16 x) {
    lanes16 z = x * 0.70710678118654752f;
    lanes16 bounded = lanes_min((lanes16)4.0f, lanes_max((lanes16)-4.0f, z)); // in this order, NaN stays
    lanes16 square = bounded * bounded;
    lanes16 p = (lanes16)-2.72614225801306e-10f;
    p = lanes_fma(p, square, (lanes16)2.77068142495902e-08f);
    p = lanes_fma(p, square, (lanes16)-2.10102402082508e-06f);
    p = lanes_fma(p, square, (lanes16)-5.69250639462346e-05f);
    p = lanes_fma(p, square, (lanes16)-7.34990630326855e-04f);
    p = lanes_fma(p, square, (lanes16)-2.95459980854025e-03f);
    p = lanes_fma(p, square, (lanes16)-1.60960333262415e-02f);
    lanes16 q = (lanes16)-1.45660718464996e-05f;
    q = lanes_fma(q, square, (lanes16)-2.13374055278905e-04f);
    q = lanes_fma(q, square, (lanes16)-1.68282697438203e-03f);
    q = lanes_fma(q, square, (lanes16)-7.37332916720468e-03f);
    q = lanes_fma(q, square, (lanes16)-1.42647390514189e-02f);
    lanes16 erf = bounded * p / q;
    erf = z >= 4.0f ? (lanes16)1.0f : erf;
    lanes16 half = x * 0.5f;
    return z <= -4.0f ? (lanes16)0.0f : lanes_fma(half, erf, half); // −∞ · 0 is not 0
}

#endif
