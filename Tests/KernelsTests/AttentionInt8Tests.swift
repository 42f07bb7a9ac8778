import Foundation
import Kernels
import Testing

@Suite struct AttentionInt8Tests {
    private func attend(
        _ row: KernelRow, _ q: [Float], queries: Int, k: [Float], v: [Float], keys: Int, headSize: Int, stride: Int,
        scale: Float, bias: [Float]? = nil
    ) -> [Float] {
        let scratch = Guarded(
            [Float](repeating: .nan, count: row.kernels.attention_u8s8_scratch(keys, headSize)), canary: -5)
        let out = Guarded([Float](repeating: 9, count: queries * stride), offset: 2)
        (bias ?? []).withUnsafeBufferPointer { values in
            var scoreBias = apus_score_bias(values: values.baseAddress, stride: keys)
            withUnsafePointer(to: &scoreBias) { given in
                row.kernels.attention_u8s8(
                    q, stride, queries, k, v, stride, keys, headSize, scale, bias == nil ? nil : given, scratch.base,
                    out.base, stride)
            }
        }
        #expect(out.isIntact && scratch.isIntact)
        return out.values
    }

    @Test(arguments: KernelRow.supported)
    func `int8 attention is near its definition for every number of keys and head size, in wider rows`(_ row: KernelRow) {
        let shapes =
            Array(1...20).map { ($0, 17) } + [16, 31, 32, 33, 64, 65, 100, 130].map { ($0, 40) }
            + [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 127, 129, 300].map { (64, $0) }
        for (headSize, keys) in shapes {
            let stride = headSize + 3
            for queries in [1, 4, 7, 19, 35] {
                let q = random(queries * stride, seed: 50)
                let (k, v) = (random(keys * stride, seed: 51), random(keys * stride, seed: 52))
                let scale = 1 / Float(headSize).squareRoot()
                let found = attend(
                    row, q, queries: queries, k: k, v: v, keys: keys, headSize: headSize, stride: stride, scale: scale)
                for i in 0..<queries {
                    let scores = (0..<keys).map { j in
                        Double(scale)
                            * (0..<headSize).reduce(0.0) { $0 + Double(q[i * stride + $1]) * Double(k[j * stride + $1]) }
                    }
                    let weights = scores.map { exp($0 - scores.max()!) }
                    for c in 0..<stride {
                        let result = Double(found[i * stride + c])
                        if c >= headSize {
                            #expect(result == 9, "columns past the head are not written")
                            continue
                        }
                        let expected = (0..<keys).reduce(0.0) { $0 + weights[$1] * Double(v[$1 * stride + c]) }
                        // Steps of 4/255 and 2/127 in scores of this size, and of 2/127 in the values.
                        #expect(abs(result - expected / weights.reduce(0, +)) < 0.05, "\(headSize), \(keys) keys")
                    }
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `a bias is added to int8 scores, and −∞ hides a key`(_ row: KernelRow) {
        for (headSize, keys, queries) in [(16, 1, 1), (32, 70, 9), (64, 129, 129), (20, 300, 40)] {
            let (q, k) = (random(queries * headSize, seed: 57), random(keys * headSize, seed: 58))
            let v = random(keys * headSize, seed: 59)
            var bias = random(queries * keys, 2, seed: 60)
            for index in bias.indices where index % keys > index / keys && index % 3 == 0 { bias[index] = -.infinity }
            let found = attend(
                row, q, queries: queries, k: k, v: v, keys: keys, headSize: headSize, stride: headSize, scale: 0.2,
                bias: bias)
            for i in 0..<queries {
                let scores = (0..<keys).map { j in
                    0.2 * (0..<headSize).reduce(0.0) { $0 + Double(q[i * headSize + $1]) * Double(k[j * headSize + $1]) }
                        + Double(bias[i * keys + j])
                }
                let weights = scores.map { exp($0 - scores.max()!) }
                for c in 0..<headSize {
                    let expected = (0..<keys).reduce(0.0) { $0 + weights[$1] * Double(v[$1 * headSize + c]) }
                    #expect(abs(Double(found[i * headSize + c]) - expected / weights.reduce(0, +)) < 0.05)
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `many small weights are not lost beside a large one`(_ row: KernelRow) {
        // One key stands out by e^6.5: the 299 others have 0.0015 of its weight each, and 0.31 of the whole together.
        let (headSize, keys) = (16, 300)
        var k = [Float](repeating: 0, count: keys * headSize)
        var v = [Float](repeating: 1, count: keys * headSize)
        for c in 0..<headSize { (k[c], v[c]) = (1, 0) }
        let q = [Float](repeating: 6.5 / 16, count: headSize)
        let out = attend(row, q, queries: 1, k: k, v: v, keys: keys, headSize: headSize, stride: headSize, scale: 1)
        let others = 299 * exp(-6.5)
        for value in out { #expect(abs(Double(value) - others / (1 + others)) < 0.003) }
    }

    @Test(arguments: KernelRow.supported)
    func `zeros stay zero, extremes stay finite, and damage is passed on`(_ row: KernelRow) {
        let zeros = [Float](repeating: 0, count: 70 * 32)
        func run(_ q: [Float], _ k: [Float], _ v: [Float]) -> [Float] {
            attend(row, q, queries: 2, k: k, v: v, keys: 70, headSize: 32, stride: 32, scale: 0.2)
        }
        let values = random(70 * 32, seed: 53)
        let queries = Array(values.prefix(64))
        #expect(run(Array(zeros.prefix(64)), zeros, zeros).allSatisfy { $0 == 0 })
        #expect(run(queries.map { $0 * 1e15 }, values.map { $0 * 1e15 }, values).allSatisfy { $0.isFinite })
        for broken in [Float.nan, .infinity] {
            var (q, k, v) = (queries, values, values)
            (q[3], k[5 * 32 + 1], v[6 * 32 + 4]) = (broken, broken, broken)
            let badQuery = run(q, values, values)
            #expect(badQuery.prefix(32).allSatisfy { $0.isNaN } && badQuery.suffix(32).allSatisfy { $0.isFinite })
            #expect(run(queries, k, values).allSatisfy { $0.isNaN })
            k = k.map { _ in broken }
            #expect(run(queries, k, values).allSatisfy { $0.isNaN })
            let badValue = run(queries, values, v)
            #expect(badValue.indices.allSatisfy { !badValue[$0].isFinite == ($0 % 32 == 4) })
        }
        #expect(run(queries.map { $0 * 1e30 }, values.map { $0 * 1e30 }, values).allSatisfy { $0.isNaN }, "scores past f32")
    }

    @Test(arguments: KernelRow.supported)
    func `as many keys as int32 can sum up have equal shares`(_ row: KernelRow) {
        let keys = 32_768
        var v = [Float](repeating: -1, count: keys)
        for index in 0..<keys / 2 { v[index] = 0.5 }
        let zeros = [Float](repeating: 0, count: keys)
        let out = attend(row, [1], queries: 1, k: zeros, v: v, keys: keys, headSize: 1, stride: 1, scale: 1)
        #expect(abs(out[0] + 0.25) < 0.005)
    }

    @Test func `all instruction sets give the same bits`() {
        for (headSize, keys) in [(1, 1), (12, 70), (32, 64), (32, 100), (64, 129), (20, 300)] {
            let (q, k, v) = (
                random(8 * headSize, seed: 54), random(keys * headSize, 4, seed: 55), random(keys * headSize, seed: 56)
            )
            var expected: [UInt32]?
            for row in KernelRow.supported {
                let found = attend(
                    row, q, queries: 8, k: k, v: v, keys: keys, headSize: headSize, stride: headSize, scale: 0.3
                ).map(\.bitPattern)
                if expected == nil { expected = found }
                #expect(found == expected, "\(row.testDescription), \(headSize), \(keys) keys")
            }
        }
    }
}
