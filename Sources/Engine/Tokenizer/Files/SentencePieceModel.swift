import Foundation

/// A SentencePiece model file (`sentencepiece_model.proto`): pieces with their scores, and how text is normalized.
struct SentencePieceModel {
    enum Kind: Int {
        case unigram = 1
        case bpe = 2
        case word = 3
        case char = 4
    }

    private(set) var pieces: [(token: [UInt8], score: Float, isControl: Bool, isUserDefined: Bool)] = []
    private(set) var charsmap: [UInt8] = []
    private(set) var kind = Kind.unigram
    /// The place of the unknown piece.
    private(set) var unknownID = 0
    let file: String

    init(_ path: String) throws(InputError) {
        try self.init(bytes: try JSONFile.bytes(path), file: (path as NSString).lastPathComponent)
    }

    init(bytes: [UInt8], file: String) throws(InputError) {
        self.file = file
        do throws(ProtobufError) {
            try ProtobufReader(bytes[...]).forEachField { (number, field) throws(ProtobufError) in
                switch (number, field) {
                case (1, .bytes(let piece)): try readPiece(piece)
                case (2, .bytes(let trainer)): try readTrainer(trainer)
                case (3, .bytes(let normalizer)):
                    try ProtobufReader(normalizer).forEachField { (number, field) throws(ProtobufError) in
                        if case (2, .bytes(let map)) = (number, field) { charsmap = Array(map) }
                    }
                default: break
                }
            }
        } catch {
            throw InputError(file, "is not a SentencePiece model, or is damaged: \(error.problem). Fetch it again")
        }
        guard !pieces.isEmpty else { throw InputError(file, "is not a SentencePiece model: it has no pieces") }
    }

    private mutating func readPiece(_ bytes: ArraySlice<UInt8>) throws(ProtobufError) {
        var token: [UInt8] = []
        var score: Float = 0
        var type = 1
        try ProtobufReader(bytes).forEachField { (number, field) throws(ProtobufError) in
            switch (number, field) {
            case (1, .bytes(let text)): token = Array(text)
            case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
            case (3, .varint(let value)): type = Int(truncatingIfNeeded: value)
            default: break
            }
        }
        guard token.isValidUTF8 else { throw ProtobufError("piece \(pieces.count) is not valid UTF-8") }
        guard score.isFinite else { throw ProtobufError("the score of piece \(pieces.count) is \(score)") }
        pieces.append((token, score, type == 3, type == 4))
    }

    private mutating func readTrainer(_ bytes: ArraySlice<UInt8>) throws(ProtobufError) {
        try ProtobufReader(bytes).forEachField { (number, field) throws(ProtobufError) in
            switch (number, field) {
            case (3, .varint(let value)):
                guard let known = Kind(rawValue: Int(truncatingIfNeeded: value)) else {
                    throw ProtobufError("its model_type is \(value)")
                }
                kind = known
            case (40, .varint(let value)): unknownID = Int(truncatingIfNeeded: value)
            default: break
            }
        }
    }

    /// The pieces that are found in the text before it is split.
    var addedTokens: [AddedToken] {
        pieces.filter { $0.isControl || $0.isUserDefined }
            .map { AddedToken($0.token.text, isSpecial: $0.isControl, normalized: false) }
    }
}

struct ProtobufError: Error {
    let problem: String

    init(_ problem: String) { self.problem = problem }
}

/// Fields of a protobuf message, bounds checked.
struct ProtobufReader {
    enum Field {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(ArraySlice<UInt8>)
    }

    private var bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    func forEachField(_ body: (Int, Field) throws(ProtobufError) -> Void) throws(ProtobufError) {
        var reader = self
        while !reader.bytes.isEmpty {
            let key = try reader.varint()
            let field: Field =
                switch key & 7 {
                case 0: .varint(try reader.varint())
                case 1: .fixed64(UInt64(try reader.fixed32()) | UInt64(try reader.fixed32()) << 32)
                case 2: .bytes(try reader.take(try reader.varint()))
                case 5: .fixed32(try reader.fixed32())
                default: throw ProtobufError("a field of the unknown kind \(key & 7)")
                }
            guard key >> 3 > 0 else { throw ProtobufError("a field without a number") }
            try body(Int(truncatingIfNeeded: key >> 3), field)
        }
    }

    private mutating func varint() throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.popFirst() else { throw ProtobufError("it ends too early") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw ProtobufError("a number of more than 64 bits")
    }

    private mutating func take(_ count: UInt64) throws(ProtobufError) -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count) else { throw ProtobufError("it ends too early") }
        defer { bytes.removeFirst(Int(count)) }
        return bytes.prefix(Int(count))
    }

    private mutating func fixed32() throws(ProtobufError) -> UInt32 {
        try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
