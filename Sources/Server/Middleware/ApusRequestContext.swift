import Hummingbird
import NIOCore

package struct ApusRequestContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The client's connection.
    let channel: any Channel
    let facts = RequestFacts()

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
