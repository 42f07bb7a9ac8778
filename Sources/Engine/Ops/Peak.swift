import Kernels

extension InstructionSet {
    /// Billions of operations a second that one core can do, registers alone: the best of twenty goes of ten milliseconds.
    func peak(_ precision: Precision) -> Double {
        let kernel = precision == .int8 ? kernels.pointee.peak_u8s8! : kernels.pointee.peak_f32!
        kernels.pointee.thread_begin?()
        defer { kernels.pointee.thread_end?() }
        let clock = ContinuousClock()
        var rounds: UInt64 = 1
        var best = 0.0
        var goes = 0
        while goes < 20 {
            var operations: UInt64 = 0
            let time = clock.measure { operations = kernel(rounds) } / .seconds(1)
            if time < 0.01 {
                rounds *= 2
                continue
            }
            best = max(best, Double(operations) / time / 1e9)
            goes += 1
        }
        return best
    }
}
