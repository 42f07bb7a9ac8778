import Foundation

/// A number's format in a checkpoint.
package enum ElementType: String, Sendable {
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i8 = "I8"
    case u8 = "U8"
    case bool = "BOOL"
    case i16 = "I16"
    case i32 = "I32"
    case i64 = "I64"
    case f64 = "F64"

    package var width: Int {
        switch self {
        case .i8, .u8, .bool: 1
        case .f16, .bf16, .i16: 2
        case .f32, .i32: 4
        case .i64, .f64: 8
        }
    }
}

/// A tensor as it lies in the file: little-endian, unaligned.
package struct StoredTensor: @unchecked Sendable {
    package let type: ElementType
    package let shape: [Int]
    /// From the first number on. Row-major they are `shape.product · width` bytes.
    package let bytes: UnsafeRawBufferPointer
    /// Keeps `bytes` mapped.
    package let file: MappedFile
    /// Of each extent, in numbers; nil where they are row-major.
    let strides: [Int]?

    init(type: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer, file: MappedFile, strides: [Int]? = nil) {
        self.type = type
        self.shape = shape
        self.bytes = bytes
        self.file = file
        self.strides = strides
    }

    /// The same tensor row-major: a copy in memory of its own where it is not.
    func rowMajor() throws(InputError) -> StoredTensor {
        guard let strides else { return self }
        precondition(shape.count <= 2, "an architecture's tensors are vectors and matrices")
        let (rows, columns) = (shape.count == 2 ? shape[0] : 1, shape.last ?? 1)
        let (rowStride, columnStride) = (shape.count == 2 ? strides[0] : 0, strides.last ?? 1)
        let width = type.width
        let count = rows * columns
        let copy = try MappedFile(named: file.name, byteCount: count * width) { memory in
            for row in 0..<rows {
                for column in 0..<columns {
                    let from = bytes.baseAddress! + (row * rowStride + column * columnStride) * width
                    (memory.baseAddress! + (row * columns + column) * width).copyMemory(from: from, byteCount: width)
                }
            }
        }
        return StoredTensor(
            type: type, shape: shape, bytes: UnsafeRawBufferPointer(rebasing: copy.bytes[..<(count * width)]), file: copy)
    }
}

/// The tensors of a model's weights: of one file, or of several shards.
package struct Checkpoint: Sendable {
    /// What errors call it: the file, or the shards' index.
    package let name: String
    /// In the order of their names.
    package let files: [MappedFile]
    package let tensors: [String: StoredTensor]
    /// Seeds weights that no file has; nil for a checkpoint of files.
    private let seed: UInt64?

    init(name: String, files: [MappedFile], tensors: [String: StoredTensor]) {
        self.name = name
        self.files = files
        self.tensors = tensors
        seed = nil
    }

    init(file: MappedFile, tensors: [String: StoredTensor]) {
        self.init(name: file.name, files: [file], tensors: tensors)
    }

    /// Whatever tensor is asked for, in seeded random numbers.
    init(random name: String, seed: UInt64) {
        self.name = name
        files = []
        tensors = [:]
        self.seed = seed
    }

    /// Of all files.
    package var byteCount: Int { files.reduce(0) { $0 + $1.bytes.count } }

    /// Of the file, in hexadecimal; of several, that of the lines `SHA-256  name`, as sha256sum prints them.
    package func sha256() -> String {
        if files.count == 1 { return files[0].sha256() }
        let lines = files.map { "\($0.sha256())  \($0.name)\n" }.joined()
        return Array(lines.utf8).withUnsafeBytes { $0.sha256() }
    }

    /// nil where there is none. One of a random checkpoint has the shape that is asked for.
    func tensor(_ name: String, shape: [Int]) throws(InputError) -> StoredTensor? {
        if let seed { return try RandomWeights(seed: seed).tensor(name, shape: shape) }
        return tensors[name]
    }

    /// Opens a model directory's weights: the first there is of `ModelFiles.weights`.
    package static func open(directory: String) throws(InputError) -> Checkpoint {
        for name in ModelFiles.weights where FileManager.default.fileExists(atPath: "\(directory)/\(name)") {
            if ModelFiles.isIndex(name) { return try readShards(directory: directory, index: name) }
            return try read(path: "\(directory)/\(name)")
        }
        throw InputError(directory, "has no weights: neither \(ModelFiles.weightsInWords)")
    }

    static func read(path: String) throws(InputError) -> Checkpoint {
        path.hasSuffix(".safetensors") ? try readSafetensors(path: path) : try readTorch(path: path)
    }

    /// `shape`'s product times `width`, or nil where it does not fit an Int or an extent is negative.
    static func byteCount(shape: [Int], width: Int) -> Int? {
        var count = width
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow, extent >= 0 else { return nil }
            count = product
        }
        return count
    }
}
