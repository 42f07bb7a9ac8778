import Engine
import Foundation
import Testing

@Suite struct SystemTests {
    @Test func `threads default to the control group's quota where that is smaller`() throws {
        let root = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: root.path + "/a/b", withIntermediateDirectories: true)
        try root.write("0::/a/b\n", to: "membership")
        func quota() -> Int? { ProcessorCount.quota(root: root.path, membership: root.path + "/membership") }
        #expect(quota() == nil)
        try root.write("max 100000\n", to: "a/b/cpu.max")
        #expect(quota() == nil)
        try root.write("350000 100000\n", to: "a/cpu.max")
        #expect(quota() == 4)
        try root.write("50000 100000\n", to: "a/b/cpu.max")
        #expect(quota() == 1)
        #expect(ProcessorCount.available >= 1)
    }
}
