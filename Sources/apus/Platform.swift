import Engine
import Foundation
import Server

/// What platforms tell a server by variables of their own.
enum Platform {
    private static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Vertex AI's: `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE`.
    static func paths() throws(InputError) -> ServerPaths {
        var paths = ServerPaths()
        paths.health = try path("AIP_HEALTH_ROUTE")
        paths.predict = try path("AIP_PREDICT_ROUTE")
        return paths
    }

    private static func path(_ name: String) throws(InputError) -> String? {
        guard let path = variable(name) else { return nil }
        // What else a router knows would be a pattern, not a path.
        guard path.wholeMatch(of: /(\/[A-Za-z0-9._~\-][A-Za-z0-9._~:\-]*)+|\//) != nil else {
            throw InputError(name, "\"\(path)\" is not a path; give one like /predict, of letters, digits and . _ ~ : -")
        }
        return path
    }

    /// The port: what is given, else `APUS_PORT`, else Vertex AI's `AIP_HTTP_PORT`.
    static func port(_ given: Int?, _ settings: Settings, say: (String) -> Void) throws(InputError) -> Int {
        if let port = try port(given, "--port", settings, say: say) { return port }
        guard let text = variable("AIP_HTTP_PORT") else { return 7860 }
        guard let port = Int(text), range.contains(port) else {
            throw InputError("AIP_HTTP_PORT", "is \"\(text)\", not a number from 0 to 65535")
        }
        return port
    }

    /// What is given, else the option's variable. Kubernetes sets `APUS_PORT` to a URL where a Service is called apus,
    /// `APUS_GRPC_PORT` where one is called apus-grpc, which is no port of this server and left out, with a word to `say`.
    static func port(
        _ given: Int?, _ option: String, _ settings: Settings, say: (String) -> Void
    ) throws(InputError) -> Int? {
        let name = Settings.name(option)
        if given == nil, let url = variable(name), url.wholeMatch(of: /(tcp|udp|sctp):\/\/.+/) != nil {
            let service = name.dropLast("_PORT".count).lowercased().replacing("_", with: "-")
            say(
                "\(name) is \(url), which Kubernetes sets for a Service named \(service); it is left out. Give the port with "
                    + "\(option), or set enableServiceLinks to false")
            return nil
        }
        return try settings.value(given, option, range)
    }

    private static let range = 0...65535
}
