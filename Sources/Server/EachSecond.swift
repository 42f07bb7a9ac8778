import Foundation

extension Thread {
    /// Does `work` each second on a thread of its own, as it blocks, until its object is gone.
    static func eachSecond<Object: AnyObject & Sendable>(_ object: Object, _ work: @escaping @Sendable (Object) -> Void) {
        detachNewThread { [weak object] in
            repeat { Foundation.sleep(1) } while object.map(work) != nil
        }
    }
}
