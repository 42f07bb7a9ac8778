import Engine
import Foundation
import Synchronization
import Testing

struct InferenceThreadTests {
    @Test func `who takes the thread's place has it alone, and what is brought meanwhile runs afterwards`() {
        let thread = InferenceThread()
        let log = Mutex<[String]>([])
        let hasRun = thread.runHere {
            thread.enqueue { log.withLock { $0.append("brought") } }
            #expect(!thread.runHere { log.withLock { $0.append("a second guest") } })
            thread.run { log.withLock { $0.append("a pass of the guest's") } }
            Thread.sleep(forTimeInterval: 0.05)
            log.withLock { $0.append("the guest leaves") }
        }
        #expect(hasRun)
        thread.run { log.withLock { $0.append("after") } }
        #expect(log.withLock { $0 } == ["a pass of the guest's", "the guest leaves", "brought", "after"])
    }

    @Test func `nobody takes the place of a thread that has work, or of one in the background`() {
        let (thread, semaphore, started) = (InferenceThread(), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        thread.enqueue {
            started.signal()
            semaphore.wait()
        }
        started.wait()
        #expect(!thread.runHere { Issue.record("two at once") })
        semaphore.signal()
        #expect(!InferenceThread(isInBackground: true).runHere { Issue.record("in the foreground") })
    }
}
