import Engine
import Foundation

/// This program once more. Not by Foundation's `Process`, whose children live on when the terminal's Ctrl-C ends this one.
enum ChildProcess {
    /// Runs it with `arguments` to its end; its messages go where this one's go. Its standard input is open as long as this
    /// process lives: `endWithParent` watches it.
    static func run(
        _ arguments: [String], environment: [String: String]
    ) throws(InputError) -> (status: Int32, output: [UInt8]) {
        func fail(_ code: Int32) -> InputError {
            InputError("apus", "cannot start a process of its own: \(String(cString: strerror(code)))")
        }
        guard let path = Bundle.main.executablePath else { throw fail(ENOENT) }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw fail(errno) }
        defer { close(ends[0]) }
        var life: [Int32] = [0, 0]
        guard pipe(&life) == 0 else {
            let code = errno
            close(ends[1])
            throw fail(code)
        }
        defer { close(life[1]) }
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, life[0], STDIN_FILENO)
        for end in ends + life { posix_spawn_file_actions_addclose(&actions, end) }
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for string in argv + envp { free(string) } }
        var process = pid_t()
        let code = posix_spawn(&process, path, &actions, nil, &argv, &envp)
        close(ends[1])
        close(life[0])
        guard code == 0 else { throw fail(code) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count > 0 { output += buffer[..<count] } else if count == 0 || errno != EINTR { break }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return (signal == 0 ? status >> 8 & 0xFF : 128 + signal, output)
    }

    /// In the child: ends it with the parent, however that one ended.
    static func endWithParent() {
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) < 0, errno == EINTR {}
            _exit(1)
        }
    }
}
