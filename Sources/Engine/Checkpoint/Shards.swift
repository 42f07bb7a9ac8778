import Foundation

/// Weights in several files, with an index that says which tensor is in which:
/// `{"metadata": …, "weight_map": {"TENSOR": "model-00001-of-00002.safetensors", …}}`.
extension Checkpoint {
    /// A model of so many shards is not meant for one machine.
    private static let maximumShards = 4096

    static func readShards(directory: String, index: String) throws(InputError) -> Checkpoint {
        var files: [MappedFile] = []
        var tensors: [String: StoredTensor] = [:]
        let names = try shardNames(JSONFile.bytes("\(directory)/\(index)"), index: index)
        for name in names {
            guard FileManager.default.fileExists(atPath: "\(directory)/\(name)") else {
                throw InputError(
                    index, "names the shard \(name), which is not beside it. Fetch the model again: apus pull ID")
            }
            let shard = try read(path: "\(directory)/\(name)")
            files += shard.files
            for (tensor, stored) in shard.tensors {
                if let other = tensors.updateValue(stored, forKey: tensor) {
                    throw InputError(
                        index, "tensor \"\(tensor)\" is in two shards, \(other.file.name) and \(stored.file.name)")
                }
            }
        }
        return Checkpoint(name: index, files: files, tensors: tensors)
    }

    /// The shards' names, each once, in order.
    package static func shardNames(_ bytes: [UInt8], index: String) throws(InputError) -> [String] {
        var names: Set<String> = []
        let map: [JSONValue.Member]
        do {
            map = try JSONValue(parsing: bytes)["weight_map"]?.object ?? []
        } catch {
            throw InputError(index, "is not JSON: \(error)")
        }
        for member in map {
            guard let name = member.value.string, isPlainName(name), ModelFiles.isWeights(name) else {
                throw InputError(
                    index,
                    "weight_map puts tensor \"\(member.name)\" into \(String(decoding: member.value.serialized(), as: UTF8.self)), "
                        + "which is not the file name of a shard beside the index")
            }
            names.insert(name)
        }
        guard 1...maximumShards ~= names.count else {
            throw InputError(index, "needs a weight_map of tensors and 1 to \(maximumShards) shards; found \(names.count)")
        }
        return names.sorted()
    }

    private static func isPlainName(_ name: String) -> Bool { !name.contains("/") && !name.contains("\0") }
}
