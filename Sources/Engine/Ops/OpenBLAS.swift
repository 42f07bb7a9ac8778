import Foundation

/// BLAS' matrix product: OpenBLAS, on macOS Accelerate. Opened when it is asked for: OpenBLAS makes threads as it is loaded, and
/// ends a process that may have none.
struct OpenBLAS: @unchecked Sendable {
    private typealias Multiply =
        @convention(c) (
            UInt32, UInt32, UInt32, Int32, Int32, Int32, Float, UnsafePointer<Float>, Int32, UnsafePointer<Float>, Int32,
            Float,
            UnsafeMutablePointer<Float>, Int32
        ) -> Void
    private typealias SetThreads = @convention(c) (Int32) -> Void

    private let sgemm: Multiply
    private let setThreads: SetThreads?

    #if canImport(Darwin)
        private static let library = "/System/Library/Frameworks/Accelerate.framework/Accelerate"
    #else
        private static let library = "libopenblas.so.0"
    #endif

    /// Nil where there is no such library.
    static let shared: OpenBLAS? = {
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL), let sgemm = dlsym(handle, "cblas_sgemm") else {
            return nil
        }
        return OpenBLAS(
            sgemm: unsafeBitCast(sgemm, to: Multiply.self),
            setThreads: dlsym(handle, "openblas_set_num_threads").map { unsafeBitCast($0, to: SetThreads.self) })
    }()

    static func required() throws(InputError) -> OpenBLAS {
        guard let shared else {
            throw InputError(
                "--backend openblas", "\(library) cannot be opened here; install libopenblas0, or use --backend simd")
        }
        return shared
    }

    /// The threads of OpenBLAS, in the whole process.
    func setThreads(_ count: Int) { setThreads?(Int32(count)) }

    /// y [rows, outputs] = y + x [rows, inputs] · Wᵀ, W [outputs, inputs]; strides in elements.
    func addProduct(
        _ x: UnsafePointer<Float>, stride: Int, rows: Int, _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int,
        to y: UnsafeMutablePointer<Float>, stride yStride: Int
    ) {
        let (rowMajor, asItIs, transposed) = (UInt32(101), UInt32(111), UInt32(112))  // CBLAS_ORDER, CBLAS_TRANSPOSE
        sgemm(
            rowMajor, asItIs, transposed, Int32(rows), Int32(outputs), Int32(inputs), 1, x, Int32(stride), weights,
            Int32(inputs), 1, y, Int32(yStride))
    }
}
