/// exp, log, sine and cosine in plain double arithmetic: C libraries differ in the last bits, and one library between CPUs.
package enum ReproducibleMath {
    // ln 2 = high + low; high has 33 bits, so that its product with an exponent is exact (as in fdlibm).
    private static let ln2High = 6.93147180369123816490e-01
    private static let ln2Low = 1.90821492927058770002e-10
    private static let log2OfE = 1.44269504088896338700

    /// e^x, within 1e-14 of it; 0 and infinity outside -700 ... 700.
    package static func exp(_ x: Double) -> Double {
        guard x > -700 else { return x.isNaN ? x : 0 }
        guard x < 700 else { return .infinity }
        let exponent = (x * log2OfE).rounded()
        let r = x - exponent * ln2High - exponent * ln2Low  // |r| ≤ 0.35: Taylor's terms past the twelfth are below 1e-16
        var sum = r * (1 / 479_001_600) + 1 / 39_916_800
        sum = sum * r + 1 / 3_628_800
        sum = sum * r + 1 / 362_880
        sum = sum * r + 1 / 40320
        sum = sum * r + 1 / 5040
        sum = sum * r + 1 / 720
        sum = sum * r + 1 / 120
        sum = sum * r + 1 / 24
        sum = sum * r + 1 / 6
        sum = sum * r + 1 / 2
        sum = sum * r + 1
        sum = sum * r + 1
        return sum * Double(sign: .plus, exponent: Int(exponent), significand: 1)
    }

    /// ln x for normal positive x, within 1e-14 of it (or of 1, for logarithms below 1).
    package static func log(_ x: Double) -> Double {
        var (exponent, fraction) = (Double(x.exponent), x.significand)
        if fraction > 1.414 { (exponent, fraction) = (exponent + 1, fraction / 2) }
        let s = (fraction - 1) / (fraction + 1)  // ln f = 2 artanh s; |s| ≤ 0.172: terms past s¹⁷ are below 1e-16
        let square = s * s
        var sum = square * (1 / 17) + 1 / 15
        sum = sum * square + 1 / 13
        sum = sum * square + 1 / 11
        sum = sum * square + 1 / 9
        sum = sum * square + 1 / 7
        sum = sum * square + 1 / 5
        sum = sum * square + 1 / 3
        sum = sum * square + 1
        return exponent * ln2High + (exponent * ln2Low + 2 * s * sum)
    }

    // π/2 = high + low; high has 33 bits (as in fdlibm).
    private static let halfPiHigh = 1.57079632673412561417
    private static let halfPiLow = 6.07710050650619224932e-11

    /// sin x and cos x, within 1e-14, for |x| below a million.
    package static func sineAndCosine(_ x: Double) -> (sine: Double, cosine: Double) {
        let quarter = (x / (halfPiHigh + halfPiLow)).rounded()
        let r = x - quarter * halfPiHigh - quarter * halfPiLow  // |r| ≤ π/4: terms past the sixteenth are below 1e-16
        let square = r * r
        var sine = 1 / 1_307_674_368_000 as Double
        for divisor in [6_227_020_800, 39_916_800, 362_880, 5040, 120, 6] as [Double] {
            sine = 1 / divisor - sine * square
        }
        sine = r - r * square * sine
        var cosine = 1 / 20_922_789_888_000 as Double
        for divisor in [87_178_291_200, 479_001_600, 3_628_800, 40320, 720, 24, 2] as [Double] {
            cosine = 1 / divisor - cosine * square
        }
        cosine = 1 - square * cosine
        switch Int(quarter) & 3 {
        case 0: return (sine, cosine)
        case 1: return (cosine, -sine)
        case 2: return (-sine, -cosine)
        default: return (-cosine, sine)
        }
    }
}
