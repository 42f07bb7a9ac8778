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

/// A tensor as it lies in the file: row-major, little-endian, `shape.product · width` bytes, unaligned.
package struct StoredTensor: @unchecked Sendable {
    package let type: ElementType
    package let shape: [Int]
    package let bytes: UnsafeRawBufferPointer
    /// Keeps `bytes` mapped.
    package let file: MappedFile
}

/// The tensors of one weights file.
package struct Checkpoint: Sendable {
    package let file: MappedFile
    package let tensors: [String: StoredTensor]

    /// Opens a model directory's `model.safetensors`, or `pytorch_model.bin` where there is none.
    package static func open(directory: String) throws(InputError) -> Checkpoint {
        let safetensors = directory + "/model.safetensors"
        if FileManager.default.fileExists(atPath: safetensors) { return try readSafetensors(path: safetensors) }
        let pickled = directory + "/pytorch_model.bin"
        if FileManager.default.fileExists(atPath: pickled) { return try readTorch(path: pickled) }
        for index in ["model.safetensors.index.json", "pytorch_model.bin.index.json"]
        where FileManager.default.fileExists(atPath: "\(directory)/\(index)") {
            throw InputError(directory, "has its weights in several files (\(index)); save them as one model.safetensors")
        }
        throw InputError(directory, "has no weights: neither model.safetensors nor pytorch_model.bin")
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
