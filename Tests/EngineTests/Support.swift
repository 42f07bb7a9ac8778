import Engine
import Foundation
import Testing

/// Where the tests' files are.
enum Fixtures {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
        .path

    static let models = [
        "roberta-tiny", "roberta-odd", "roberta-bf16", "bert-tiny", "bert-one-layer", "roberta-int8", "distilbert-tiny",
        "electra-tiny", "mpnet-tiny", "albert-tiny", "modernbert-tiny", "modernbert-mean", "deberta-tiny",
        "deberta-own-keys", "bert-compressed",
    ]

    static func model(_ name: String) -> String { "\(directory)/models/\(name)" }

    static func json(_ path: String) throws -> JSONValue { try JSONValue(parsing: bytes(path)) }

    static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// The data of shared/data/README.md: `APUS_DATA`, else beside the checkout; nil where it is not there.
    static let data: String? = {
        let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../../shared/data")
        let path = ProcessInfo.processInfo.environment["APUS_DATA"] ?? beside.standardizedFileURL.path
        return FileManager.default.fileExists(atPath: path + "/tweeteval-sentiment/test_text.txt") ? path : nil
    }()
}

extension Trait where Self == ConditionTrait {
    /// The test is reported as skipped where the data is missing.
    static var needsData: Self { .enabled(if: Fixtures.data != nil, "APUS_DATA has no tweeteval-sentiment; see README.md") }
}

extension Classifier {
    /// What runs a transformer's passes.
    var session: InferenceSession { (model as! TransformerModel).session }
}

/// A folder of its own for one test, removed afterwards.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// A copy of a fixture model, to be damaged.
    convenience init(model: String) throws {
        try self.init()
        for file in try FileManager.default.contentsOfDirectory(atPath: Fixtures.model(model)) {
            try FileManager.default.copyItem(atPath: "\(Fixtures.model(model))/\(file)", toPath: "\(path)/\(file)")
        }
    }

    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))) }

    func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

    /// Replaces a setting of config.json; nil takes it out.
    func setConfig(_ name: String, _ value: JSONValue?) throws {
        let members = try #require(try JSONValue(parsing: read("config.json")).object).filter { $0.name != name }
        let changed = JSONValue.object(members + (value.map { [.init(name, $0)] } ?? []))
        try write(changed.serialized(), to: "config.json")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The one error that `body` must throw, as a person reads it.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "(no error)"
    } catch {
        #expect(error is InputError || error is TextError, "\(error)")
        return "\(error)"
    }
}

/// As `message`, for what need not fail.
func messageOrNone(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        #expect(error is InputError || error is TextError, "\(error)")
        return "\(error)"
    }
}

/// FNV-1a, 64 bits, over token ids: the digest of the references.
struct Digest {
    private var value: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var count = 0

    mutating func add(_ ids: [Int]) {
        count += 1
        for id in ids + [0xFFFF_FFFF] {
            for shift in [0, 8, 16, 24] { value = (value ^ UInt64(id >> shift & 0xFF)) &* 0x100_0000_01b3 }
        }
    }

    var hexadecimal: String {
        String(repeating: "0", count: value.leadingZeroBitCount / 4) + (value == 0 ? "" : String(value, radix: 16))
    }
}
