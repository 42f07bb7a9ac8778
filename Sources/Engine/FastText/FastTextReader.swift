/// Walks over a fastText file; every read is checked against the file's end.
struct FastTextReader {
    let file: MappedFile
    private(set) var offset = 0

    init(_ file: MappedFile) { self.file = file }

    var left: Int { file.bytes.count - offset }

    /// A little-endian integer.
    mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type, _ what: String) throws(InputError) -> Int {
        let size = MemoryLayout<Value>.size
        guard left >= size else { throw truncated(what, size) }
        defer { offset += size }
        return Int(file.bytes.littleEndian(type, at: offset))
    }

    /// C++'s bool, one byte.
    mutating func flag(_ what: String) throws(InputError) -> Bool {
        let value = try integer(UInt8.self, what)
        guard value <= 1 else { throw damaged("\(what) is \(value); it must be 0 or 1") }
        return value == 1
    }

    /// `count` things of `size` bytes.
    mutating func block(_ count: Int, of size: Int, _ what: String) throws(InputError) -> UnsafeRawBufferPointer {
        guard let bytes = Checkpoint.byteCount(shape: [count], width: size) else {
            throw damaged("\(what) would take \(count) times \(size) bytes")
        }
        guard bytes <= left else { throw truncated(what, bytes) }
        defer { offset += bytes }
        return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + bytes])
    }

    /// The bytes up to the next zero, which is read too.
    mutating func string(_ what: String) throws(InputError) -> Range<Int> {
        guard let length = file.bytes[offset...].firstIndex(of: 0).map({ $0 - offset }) else {
            throw truncated("\(what), a text up to a zero byte,", left + 1)
        }
        defer { offset += length + 1 }
        return offset..<offset + length
    }

    func truncated(_ what: String, _ bytes: Int) -> InputError {
        InputError(
            file.name,
            "is truncated: \(what) takes \(bytes) bytes at offset \(offset), where the file has \(left) left. "
                + "Fetch it again")
    }

    func damaged(_ problem: String) -> InputError {
        InputError(file.name, "is damaged: \(problem). Fetch it again")
    }
}

/// What a model was trained with, as far as labelling texts depends on it: the file's first 64 bytes.
struct FastTextSettings: Sendable {
    /// `fasttext.cc`: the number before every model.
    static let magic: Int32 = 793_712_314
    /// Those that fastText's current release reads and that ever existed with the magic number before them.
    private static let versions = 11...12
    /// The library has no limit. Training with more is of no use, while a text's rows grow with both.
    private static let maximumLength = 100

    /// The labels' matrix is packed in panels of 64 rows however few labels there are: a file of a few bytes must not ask for
    /// gigabytes.
    private static let maximumDimension = 65_536

    let dimension: Int
    /// A text's words count alone and in groups of up to so many.
    let wordNgrams: Int
    let loss: FastTextModel.Loss
    /// Rows that subwords and groups of words share by their hash.
    let buckets: Int
    /// The lengths of subwords, in characters; none where `maximumSubword` is 0.
    let minimumSubword: Int
    let maximumSubword: Int

    var usesBuckets: Bool { wordNgrams > 1 || maximumSubword > 0 }

    init(_ reader: inout FastTextReader) throws(InputError) {
        let version = try Self.version(&reader)
        dimension = try reader.integer(Int32.self, "dim")
        _ = try reader.block(4, of: 4, "the training's ws, epoch, minCount and neg")
        wordNgrams = try reader.integer(Int32.self, "wordNgrams")
        let lossNumber = try reader.integer(Int32.self, "loss")
        let kind = try reader.integer(Int32.self, "model")
        buckets = try reader.integer(Int32.self, "bucket")
        minimumSubword = try reader.integer(Int32.self, "minn")
        let longest = try reader.integer(Int32.self, "maxn")
        // As the library: "old supervised models do not use char ngrams".
        maximumSubword = version == 11 ? 0 : longest
        _ = try reader.block(12, of: 1, "the training's lrUpdateRate and t")

        guard kind != 1, kind != 2 else {
            throw InputError(
                reader.file.name,
                "holds word vectors (\(kind == 1 ? "cbow" : "skipgram")) and no labels; give a model that "
                    + "fastText trained as `supervised`")
        }
        guard kind == 3 else { throw reader.damaged("model is \(kind); fastText writes 1, 2 or 3") }
        guard let loss = FastTextModel.Loss(rawValue: lossNumber) else {
            throw reader.damaged("loss is \(lossNumber); fastText writes 1 to 4")
        }
        self.loss = loss
        guard 1...Self.maximumDimension ~= dimension else {
            throw reader.damaged("dim is \(dimension); it must be from 1 to \(Self.maximumDimension)")
        }
        for (name, value, limit) in [
            ("wordNgrams", wordNgrams, Self.maximumLength), ("minn", minimumSubword, Self.maximumLength),
            ("maxn", longest, Self.maximumLength), ("bucket", buckets, Int(Int32.max)),
        ] where value < 0 || value > limit {
            throw reader.damaged("\(name) is \(value); it must be from 0 to \(limit)")
        }
        guard buckets > 0 || !usesBuckets else {
            throw reader.damaged(
                "bucket is 0, but wordNgrams is \(wordNgrams) and maxn \(maximumSubword), which need buckets")
        }
    }

    private static func version(_ reader: inout FastTextReader) throws(InputError) -> Int {
        let file = reader.file
        if file.bytes.starts(with: Array("PK".utf8)) || file.bytes.starts(with: [0x80, 0x02]) {
            throw InputError(
                file.name,
                "is a PyTorch checkpoint and no fastText model; give the directory that it is in, with its "
                    + "config.json and tokenizer")
        }
        guard file.bytes.count >= 8, file.bytes.littleEndian(Int32.self, at: 0) == magic else {
            throw InputError(
                file.name,
                "does not begin as a fastText model does. Give the .bin or .ftz that fastText's save_model "
                    + "wrote, or a model directory")
        }
        _ = try reader.integer(Int32.self, "the magic number")
        let version = try reader.integer(Int32.self, "the version")
        guard versions.contains(version) else {
            throw InputError(
                file.name,
                "is of fastText's format version \(version); versions \(versions.lowerBound) and "
                    + "\(versions.upperBound) are read")
        }
        return version
    }
}
