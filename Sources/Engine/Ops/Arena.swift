import Foundation

/// Memory that is given back all at once: zeroed, aligned to cache lines, in huge pages where the system has them (a pass
/// streams all weights, and each page of 4 KB would cost a look-up).
package final class Arena: @unchecked Sendable {
    private static let line = 64
    private static let hugePage = 2 << 20
    private static let regionBytes = 16 << 20

    private var regions: [UnsafeMutableRawBufferPointer] = []
    private var next = UnsafeMutableRawPointer(bitPattern: Arena.line)!
    private var left = 0

    package init() {}

    /// Room for `count` values, zero; whole cache lines.
    func allocate<Value: BitwiseCopyable>(
        _ type: Value.Type, _ count: Int
    ) throws(InputError) -> UnsafeMutablePointer<Value> {
        let bytes = (count * MemoryLayout<Value>.stride + Self.line - 1) / Self.line * Self.line
        if bytes > left { try addRegion(atLeast: bytes) }
        defer {
            next += bytes
            left -= bytes
        }
        return next.bindMemory(to: Value.self, capacity: max(count, 1))
    }

    /// Address space only: pages come with their first use.
    private func addRegion(atLeast bytes: Int) throws(InputError) {
        let size = (max(bytes, Self.regionBytes) + Self.hugePage - 1) / Self.hugePage * Self.hugePage
        let mapped = mmap(nil, size + Self.hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { throw InputError.outOfMemory(size) }
        regions.append(UnsafeMutableRawBufferPointer(start: mapped, count: size + Self.hugePage))
        next = mapped.alignedUp(toMultipleOf: Self.hugePage)
        left = size
        #if os(Linux)
            madvise(next, size, 14)  // MADV_HUGEPAGE
        #endif
    }

    deinit {
        for region in regions { munmap(region.baseAddress!, region.count) }
    }
}
