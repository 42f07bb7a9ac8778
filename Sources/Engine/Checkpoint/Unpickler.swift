/// Reads a pickled PyTorch state dict (pickle protocols 2 to 5) and executes nothing.
///
/// A pickle is a program for a stack machine, and its GLOBAL and REDUCE can call anything. This reader knows the few
/// globals that a state dict needs and what they mean; any other is refused by name.
/// Opcodes: CPython's Lib/pickletools.py. Tensors: torch/_utils.py (`_rebuild_tensor_v2`), torch/serialization.py.
struct Unpickler {
    private let bytes: UnsafeRawBufferPointer
    private let file: String
    /// Behind what was read.
    private(set) var position = 0
    private var stack: [Value] = []
    private var marks: [Int] = []
    private var memo: [Int: Value] = [:]

    init(_ bytes: UnsafeRawBufferPointer, file: String) {
        self.bytes = bytes
        self.file = file
    }

    struct Storage {
        let type: ElementType
        let key: String
        /// In numbers, not in bytes.
        let count: Int
    }

    struct Tensor {
        let storage: Storage
        /// In numbers, like `strides`.
        let offset: Int
        let shape: [Int]
        let strides: [Int]

        var isContiguous: Bool {
            var expected = 1
            for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
                guard stride == expected else { return false }
                expected = expected.multipliedReportingOverflow(by: extent).partialValue
            }
            return true
        }
    }

    /// The next pickle: a state dict's tensors by name.
    mutating func stateDict() throws(InputError) -> [(String, Tensor)] {
        guard case .dictionary(let dictionary) = try next() else {
            throw fail("does not hold a state dict. Save the model with model.save_pretrained")
        }
        var tensors: [(String, Tensor)] = []
        for (key, value) in dictionary.items {
            guard case .string(let name) = key, case .tensor(let tensor) = value else {
                throw fail(
                    "its state dict holds something else than named tensors. "
                        + "Save the weights alone: torch.save(model.state_dict(), path)")
            }
            tensors.append((name, tensor))
        }
        return tensors
    }

    // MARK: - Before PyTorch 1.6

    /// 0x1950A86A20F9469CFC6C as a LONG1 of ten bytes: the number that the older form begins with.
    private static let legacyMagic: [UInt8] = [
        0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, UInt8(ascii: "."),
    ]

    /// Where the number's pickle ends; a newer protocol has it in a frame.
    private static func endOfLegacyMagic(_ bytes: UnsafeRawBufferPointer) -> Int? {
        for start in [2, 11] where bytes.count >= start + legacyMagic.count && bytes[0] == 0x80 {
            if bytes[start..<start + legacyMagic.count].elementsEqual(legacyMagic) { return start + legacyMagic.count }
        }
        return nil
    }

    static func isLegacy(_ bytes: UnsafeRawBufferPointer) -> Bool { endOfLegacyMagic(bytes) != nil }

    /// Reads past the magic number, the protocol and the description of the system; whether that is little-endian.
    mutating func legacyHeader() throws(InputError) -> Bool {
        position = Self.endOfLegacyMagic(bytes) ?? 0
        guard case .integer(1001) = try next() else { throw fail("is of another form than PyTorch wrote before 1.6") }
        guard case .dictionary(let system) = try next() else { throw damaged() }
        return system.items.contains { key, value in
            if case .string("little_endian") = key, case .bool(true) = value { return true }
            return false
        }
    }

    /// The next pickle: a list of strings.
    mutating func strings() throws(InputError) -> [String] {
        guard case .list(let list) = try next() else { throw damaged() }
        var strings: [String] = []
        for item in list.items {
            guard case .string(let string) = item else { throw damaged() }
            strings.append(string)
        }
        return strings
    }

    private mutating func next() throws(InputError) -> Value {
        (stack, marks, memo) = ([], [], [:])
        return try run()
    }

    // MARK: - Values

    private indirect enum Value {
        case none
        case bool(Bool)
        case integer(Int)
        case string(String)
        case tuple([Value], depth: Int)
        case list(List)
        case dictionary(Dictionary)
        case global(Global)
        case storage(Storage)
        case tensor(Tensor)

        var depth: Int {
            switch self {
            case .tuple(_, let depth): depth
            case .list(let list): list.depth
            case .dictionary(let dictionary): dictionary.depth
            default: 0
            }
        }
    }

    /// What can still change after it was made, until it is put into something else: so no cycle can arise, and the
    /// depth counted then stays true.
    private class Container {
        var depth = 1
        var isNested = false
    }

    private final class List: Container {
        var items: [Value] = []
    }

    private final class Dictionary: Container {
        var items: [(Value, Value)] = []
    }

    /// All that a state dict may name.
    private enum Global {
        case orderedDictionary
        case rebuildTensor
        case rebuildParameter
        case storage(ElementType)

        init?(module: String, name: String) {
            switch (module, name) {
            case ("collections", "OrderedDict"): self = .orderedDictionary
            case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
            case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
            case ("torch", "FloatStorage"): self = .storage(.f32)
            case ("torch", "HalfStorage"): self = .storage(.f16)
            case ("torch", "BFloat16Storage"): self = .storage(.bf16)
            case ("torch", "DoubleStorage"): self = .storage(.f64)
            case ("torch", "LongStorage"): self = .storage(.i64)
            case ("torch", "IntStorage"): self = .storage(.i32)
            case ("torch", "ShortStorage"): self = .storage(.i16)
            case ("torch", "CharStorage"): self = .storage(.i8)
            case ("torch", "ByteStorage"): self = .storage(.u8)
            case ("torch", "BoolStorage"): self = .storage(.bool)
            default: return nil
            }
        }
    }

    /// Deeper nesting is refused, so that releasing the values cannot exhaust the stack.
    private static let maximumDepth = 32

    // MARK: - The machine

    private mutating func run() throws(InputError) -> Value {
        while true {
            let opcode = try byte()
            switch opcode {
            case 0x80:  // PROTO
                let version = try byte()
                guard 2...5 ~= version else { throw fail("uses pickle protocol \(version); 2 to 5 are read") }
            case 0x95: _ = try take(8)  // FRAME: only a hint about reading ahead
            case UInt8(ascii: "."): return try pop()  // STOP
            case UInt8(ascii: "("): marks.append(stack.count)  // MARK
            case UInt8(ascii: "N"): stack.append(.none)
            case 0x88: stack.append(.bool(true))
            case 0x89: stack.append(.bool(false))
            case UInt8(ascii: "J"): stack.append(.integer(Int(try integer(Int32.self))))  // BININT
            case UInt8(ascii: "K"): stack.append(.integer(Int(try byte())))  // BININT1
            case UInt8(ascii: "M"): stack.append(.integer(Int(try integer(UInt16.self))))  // BININT2
            case 0x8a: stack.append(.integer(try long()))  // LONG1
            case UInt8(ascii: "X"): stack.append(.string(try text(Int(try integer(UInt32.self)))))  // BINUNICODE
            case 0x8c: stack.append(.string(try text(Int(try byte()))))  // SHORT_BINUNICODE
            case UInt8(ascii: "c"): stack.append(.global(try global(module: try line(), name: try line())))  // GLOBAL
            case 0x93:  // STACK_GLOBAL
                guard case .string(let name) = try pop(), case .string(let module) = try pop() else { throw damaged() }
                stack.append(.global(try global(module: module, name: name)))
            case UInt8(ascii: ")"): stack.append(.tuple([], depth: 1))
            case 0x85, 0x86, 0x87: try tuple(try pop(Int(opcode) - 0x84))  // TUPLE1 to TUPLE3
            case UInt8(ascii: "t"): try tuple(try popToMark())
            case UInt8(ascii: "]"): stack.append(.list(List()))
            case UInt8(ascii: "a"): try append([try pop()])
            case UInt8(ascii: "e"): try append(try popToMark())
            case UInt8(ascii: "}"): stack.append(.dictionary(Dictionary()))
            case UInt8(ascii: "s"): try setItems(try pop(2))
            case UInt8(ascii: "u"): try setItems(try popToMark())
            case UInt8(ascii: "q"): memo[Int(try byte())] = try top()  // BINPUT
            case UInt8(ascii: "r"): memo[Int(try integer(UInt32.self))] = try top()  // LONG_BINPUT
            case 0x94: memo[memo.count] = try top()  // MEMOIZE
            case UInt8(ascii: "h"): stack.append(try remembered(Int(try byte())))  // BINGET
            case UInt8(ascii: "j"): stack.append(try remembered(Int(try integer(UInt32.self))))  // LONG_BINGET
            case UInt8(ascii: "Q"): stack.append(.storage(try storage(try pop())))  // BINPERSID
            case UInt8(ascii: "R"): try reduce()
            case UInt8(ascii: "b"): try build()
            default:
                throw fail(
                    "pickle opcode 0x\(String(opcode, radix: 16)) at byte \(position - 1) is not one that a state "
                        + "dict needs. Save the model as model.safetensors")
            }
        }
    }

    private func global(module: String, name: String) throws(InputError) -> Global {
        guard let global = Global(module: module, name: name) else {
            throw fail(
                "its pickle names \(module).\(name), which a state dict does not need and which could run code. "
                    + "Do not load this file with PyTorch either; ask for model.safetensors")
        }
        return global
    }

    private mutating func reduce() throws(InputError) {
        guard case .tuple(let arguments, _) = try pop(), case .global(let global) = try pop() else { throw damaged() }
        switch global {
        case .orderedDictionary where arguments.isEmpty: stack.append(.dictionary(Dictionary()))
        case .rebuildTensor: stack.append(.tensor(try tensor(arguments)))
        case .rebuildParameter:
            guard case .tensor(let tensor)? = arguments.first else { throw damaged() }
            stack.append(.tensor(tensor))
        default: throw damaged()
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`
    private func tensor(_ arguments: [Value]) throws(InputError) -> Tensor {
        guard arguments.count >= 6, case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1],
            case .tuple(let shape, _) = arguments[2], case .tuple(let strides, _) = arguments[3],
            shape.count == strides.count
        else { throw damaged() }
        func integers(_ values: [Value]) throws(InputError) -> [Int] {
            var integers: [Int] = []
            for value in values {
                guard case .integer(let integer) = value, integer >= 0 else { throw damaged() }
                integers.append(integer)
            }
            return integers
        }
        guard offset >= 0 else { throw damaged() }
        return Tensor(storage: storage, offset: offset, shape: try integers(shape), strides: try integers(strides))
    }

    /// `("storage", type, key, location, count)`; before PyTorch 1.6 with a view of another storage behind it, or None.
    private func storage(_ identifier: Value) throws(InputError) -> Storage {
        guard case .tuple(let parts, _) = identifier, 5...6 ~= parts.count, case .string("storage") = parts[0],
            case .global(.storage(let type)) = parts[1], case .string(let key) = parts[2],
            case .integer(let count) = parts[4], count >= 0
        else { throw damaged() }
        if parts.count == 6 {
            guard case .none = parts[5] else {
                throw fail("has a storage that is a view of another one. Save the model with a current PyTorch")
            }
        }
        return Storage(type: type, key: key, count: count)
    }

    /// The state of an OrderedDict is its attributes (`_metadata`), which are of no use here.
    private mutating func build() throws(InputError) {
        _ = try pop()
        guard case .dictionary = try top() else { throw damaged() }
    }

    private mutating func tuple(_ items: [Value]) throws(InputError) {
        stack.append(.tuple(items, depth: try nest(items)))
    }

    private mutating func append(_ items: [Value]) throws(InputError) {
        guard case .list(let list) = try top(), !list.isNested else { throw damaged() }
        list.depth = max(list.depth, try nest(items))
        guard !list.isNested else { throw damaged() }  // put into itself
        list.items += items
    }

    private mutating func setItems(_ items: [Value]) throws(InputError) {
        guard case .dictionary(let dictionary) = try top(), !dictionary.isNested, items.count.isMultiple(of: 2) else {
            throw damaged()
        }
        dictionary.depth = max(dictionary.depth, try nest(items))
        guard !dictionary.isNested else { throw damaged() }  // put into itself
        for index in stride(from: 0, to: items.count, by: 2) { dictionary.items.append((items[index], items[index + 1])) }
    }

    /// The depth of what holds `items` from now on.
    private func nest(_ items: [Value]) throws(InputError) -> Int {
        for item in items {
            switch item {
            case .list(let list): list.isNested = true
            case .dictionary(let dictionary): dictionary.isNested = true
            default: break
            }
        }
        let depth = 1 + (items.map(\.depth).max() ?? 0)
        guard depth <= Self.maximumDepth else { throw fail("its pickle nests deeper than \(Self.maximumDepth) levels") }
        return depth
    }

    // MARK: - Pieces

    private mutating func byte() throws(InputError) -> UInt8 { try take(1)[0] }

    private mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws(InputError) -> Integer {
        UnsafeRawBufferPointer(rebasing: try take(MemoryLayout<Integer>.size)).littleEndian(type, at: 0)
    }

    /// A two's complement integer of up to eight bytes.
    private mutating func long() throws(InputError) -> Int {
        let length = Int(try byte())
        guard length <= 8 else { throw damaged() }
        var value = 0
        for (index, byte) in UnsafeRawBufferPointer(rebasing: try take(length)).enumerated() {
            value |= Int(byte) << (8 * index)
        }
        let unused = 64 - 8 * length
        return length == 0 ? 0 : (value << unused) >> unused
    }

    private mutating func text(_ length: Int) throws(InputError) -> String {
        String(decoding: try take(length), as: UTF8.self)
    }

    private mutating func line() throws(InputError) -> String {
        let start = position
        while try byte() != UInt8(ascii: "\n") {}
        return String(decoding: bytes[start..<position - 1], as: UTF8.self)
    }

    private mutating func take(_ count: Int) throws(InputError) -> Slice<UnsafeRawBufferPointer> {
        guard count <= bytes.count - position else { throw fail("its pickle is truncated. Fetch it again") }
        defer { position += count }
        return bytes[position..<position + count].rebased()
    }

    private func top() throws(InputError) -> Value {
        guard let value = stack.last, stack.count > (marks.last ?? 0) else { throw damaged() }
        return value
    }

    private mutating func pop() throws(InputError) -> Value {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws(InputError) -> [Value] {
        guard stack.count - (marks.last ?? 0) >= count else { throw damaged() }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(InputError) -> [Value] {
        guard let mark = marks.popLast() else { throw damaged() }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    private func remembered(_ index: Int) throws(InputError) -> Value {
        guard let value = memo[index] else { throw damaged() }
        return value
    }

    private func damaged() -> InputError { fail("its pickle is damaged at byte \(position). Fetch it again") }

    private func fail(_ problem: String) -> InputError { InputError(file, problem) }
}

extension Slice<UnsafeRawBufferPointer> {
    /// The same bytes, counted from 0.
    fileprivate func rebased() -> Self { UnsafeRawBufferPointer(rebasing: self)[...] }
}
