import Kernels

/// y = M·x for a small matrix M, packed for the f32 kernel.
package struct RowProducts: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    private let arena = Arena()
    /// Panels [rows/64][columns][64].
    private let panels: UnsafeMutablePointer<Float>
    private let noBias: UnsafeMutablePointer<Float>
    private let gemm:
        @convention(c) (
            UnsafePointer<Float>?, Int, Int, UnsafePointer<Float>?, Int, Int, UnsafePointer<apus_epilogue>?,
            UnsafeMutablePointer<Float>?, Int
        ) -> Void

    /// `read` writes row i of M.
    package init(
        rows: Int, columns: Int, on instructionSet: InstructionSet, read: (Int, UnsafeMutableBufferPointer<Float>) -> Void
    ) throws(InputError) {
        precondition(rows >= 1 && columns >= 1)
        self.rows = rows
        self.columns = columns
        gemm = instructionSet.kernels.pointee.gemm_f32
        let panel = Linear.panel
        let padded = (rows + panel - 1) / panel * panel
        noBias = try arena.allocate(Float.self, panel)
        panels = try arena.allocate(Float.self, padded * columns)
        let stage = try arena.allocate(Float.self, panel * columns)
        for first in stride(from: 0, to: rows, by: panel) {
            let count = min(panel, rows - first)
            for row in 0..<count {
                read(first + row, UnsafeMutableBufferPointer(start: stage + row * columns, count: columns))
            }
            apus_pack_f32(stage, columns, count, columns, panels + first * columns)
        }
    }

    /// y[r] = Σk M[r][k]·x[k], k ascending, each step fused. x: [columns], y: [rows].
    package func multiply(_ x: [Float], into y: inout [Float]) {
        precondition(x.count == columns && y.count == rows)
        x.withUnsafeBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                for first in stride(from: 0, to: rows, by: Linear.panel) {
                    var epilogue = apus_epilogue(bias: noBias, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
                    gemm(
                        x.baseAddress, columns, 1, panels + first * columns, columns, min(Linear.panel, rows - first),
                        &epilogue, y.baseAddress! + first, rows)
                }
            }
        }
    }
}
