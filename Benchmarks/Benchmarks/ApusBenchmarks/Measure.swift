import AllocationCounter
import Benchmark
import COpenBLAS
import Engine
import Foundation
import Kernels

/// A benchmark whose `prepare` makes the data, checks the answer and gives back what takes one sample.
func measure(
    _ name: String, _ figures: [Figure], gate: Bool = true, iterations: Int = 200, seconds: Double = Suite.seconds,
    prepare: @escaping () async throws -> Sample
) {
    guard Suite.wants(name, gate: gate) else { return }
    let samples = Samples(name)
    let prepared = Box<Sample>()
    Benchmark(
        name,
        configuration: .init(
            metrics: figures.map(\.metric), warmupIterations: 2, scalingFactor: .one,
            maxDuration: .milliseconds(Int(seconds * 1000)), maxIterations: iterations),
        closure: { benchmark in
            // The framework's own way to fail ends the others, too.
            guard let sample = prepared.value else { return }
            if benchmark.currentIteration == 2 { samples.removeAll() }
            sample { samples.add($0, $1, to: benchmark) }
        },
        setup: {
            do { prepared.value = try await prepare() } catch { fail(name, error) }
        },
        teardown: {
            samples.write()
            prepared.value = nil
        })
}

/// Notes that a benchmark could not be measured, or that its answer is wrong.
func fail(_ name: String, _ error: any Error) {
    FileHandle.standardError.write(Data("failed: \(name): \(error)\n".utf8))
    Output.write(["name": name, "error": "\(error)"])
}

/// Tells that a benchmark cannot be measured here, and why.
func skip(_ name: String, gate: Bool = true, because reason: String) {
    guard Suite.wants(name, gate: gate) else { return }
    FileHandle.standardError.write(Data("skipped: \(name): \(reason)\n".utf8))
    Output.write(["name": name, "skipped": reason])
}

final class Box<Value> {
    var value: Value?
}

struct WrongAnswer: Error, CustomStringConvertible {
    let description: String
}

func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw WrongAnswer(description: "wrong answer: \(message())") }
}

/// Nanoseconds of processor time: waiting for a core that other processes have is not in it.
enum ProcessorTime {
    static var ofThread: Double { now(CLOCK_THREAD_CPUTIME_ID) }
    static var ofProcess: Double { now(CLOCK_PROCESS_CPUTIME_ID) }

    private static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

/// Something that is done so often that one sample takes about `nanoseconds`.
struct Repeated {
    private let body: () -> Void
    private let repetitions: Int

    init(nanoseconds: Double = 500_000, _ body: @escaping () -> Void) {
        body()
        var repetitions = 1
        while repetitions < 1 << 20 {
            let start = ProcessorTime.ofThread
            for _ in 0..<repetitions { body() }
            let time = ProcessorTime.ofThread - start
            if time >= nanoseconds / 2 {
                repetitions = max(1, Int(Double(repetitions) * nanoseconds / time))
                break
            }
            repetitions *= 2
        }
        self.body = body
        self.repetitions = repetitions
    }

    /// Nanoseconds of the thread's processor time for one.
    func sample() -> Double {
        let start = ProcessorTime.ofThread
        for _ in 0..<repetitions { body() }
        return (ProcessorTime.ofThread - start) / Double(repetitions)
    }
}

/// Takes one sample, of several figures.
typealias Sample = (_ record: (Figure, Double) -> Void) -> Void

/// Samples of `subject` between samples of a yardstick: what disturbs one disturbs the other.
func compare(_ subject: Repeated, with yardstick: Repeated, _ figure: Figure) -> Sample {
    return { record in
        let before = yardstick.sample()
        let time = subject.sample()
        let after = yardstick.sample()
        record(figure, 1000 * (before + after) / 2 / time)
        record(.nanoseconds, time)
    }
}

/// The arithmetic peak of one core, in operations a nanosecond.
struct PeakRate {
    private let kernel: @convention(c) (UInt64) -> UInt64
    private let rounds: UInt64

    init(_ kernel: @escaping @convention(c) (UInt64) -> UInt64) {
        self.kernel = kernel
        var rounds: UInt64 = 16
        while true {
            let start = ProcessorTime.ofThread
            blackHole(kernel(rounds))
            if ProcessorTime.ofThread - start > 200_000 { break }
            rounds *= 2
        }
        self.rounds = rounds
    }

    func sample() -> Double {
        let start = ProcessorTime.ofThread
        let operations = kernel(rounds)
        return Double(operations) / (ProcessorTime.ofThread - start)
    }
}

/// What `amount` of work in a run of `body` is of what could be done at the peak meanwhile; and, if given, the time of a
/// reference over that of `body`.
func compare(
    _ body: Repeated, with peak: PeakRate, _ figure: Figure, amount: Double, beside reference: (Repeated, Figure)? = nil
) -> Sample {
    return { record in
        let before = peak.sample()
        let time = body.sample()
        let best = max(before, peak.sample())
        record(figure, 1000 * amount / time / best)
        record(.nanoseconds, time)
        if let (other, ratio) = reference { record(ratio, 1000 * other.sample() / time) }
    }
}

/// Calls of the allocator while `body` runs.
func allocations(_ body: () throws -> Void) rethrows -> Double {
    let before = allocation_counter_count()
    try body()
    return Double(allocation_counter_count() - before)
}

/// A row of the kernels' table that this machine can run.
struct KernelRow {
    let isa: String
    let kernels: apus_kernels

    static let supported: [KernelRow] = (0..<apus_isa_count()).compactMap { index in
        guard apus_isa_runs(index, apus_cpu_features()) != 0 else { return nil }
        return apus_isa_kernels(index).map { KernelRow(isa: String(cString: $0.pointee.isa), kernels: $0.pointee) }
    }
    static let scalar = supported[0]
    /// The best one, or the one that APUS_FORCE_ISA names.
    static let selected: KernelRow = {
        do {
            let name = try InstructionSet.select().name
            return supported.first { $0.isa == name }!
        } catch { fatalError("\(error)") }
    }()
}

extension Suite {
    /// Once a run: the framework starts a process for each benchmark.
    static func printMachine() {
        guard Output.isEmpty else { return }
        let cpu = ProcessorName.current
        let threads = ProcessorCount.available
        let version = String(cString: openblas_get_config()).split(separator: " ").prefix(2).joined(separator: " ")
        let openBLAS = "\(version) for \(String(cString: openblas_get_corename()))"
        FileHandle.standardError.write(
            Data("\(cpu), \(KernelRow.selected.isa), \(threads) threads; what is measured has one\n".utf8))
        Output.write([
            "cpu": cpu, "model": processorModel, "isa": KernelRow.selected.isa, "threads": threads, "version": apusVersion,
            "openblas": openBLAS,
        ])
    }

    /// All counts of allocations would be 0, and none worse than its limit, where nothing is counted.
    static func checkAllocationCounter() {
        let before = allocation_counter_count()
        let memory = malloc(16)
        blackHole(memory)
        free(memory)
        if allocation_counter_works() == 0 || allocation_counter_count() == before {
            let problem = "malloc is not counted; it is with glibc and without sanitizers"
            fail("the allocation counter", WrongAnswer(description: problem))
        }
    }

    /// What tells one kind of CPU from another that has the same name and instruction set: of /proc/cpuinfo, the vendor, the
    /// family and the model, or what stands there for them on arm64.
    private static let processorModel: String = {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let wanted = ["vendor_id", "cpu family", "model", "CPU implementer", "CPU part", "CPU variant"]
        let first = text.components(separatedBy: "\n\n")[0].split(separator: "\n")
        return first.compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            return parts.count == 2 && wanted.contains(parts[0]) ? parts[1] : nil
        }.joined(separator: " ")
    }()

    /// The same numbers for the same seed.
    static func random(_ count: Int, _ scale: Float = 1, seed: UInt64 = 1) -> [Float] {
        var generator = SplitMix64(state: seed &* 1009 &+ UInt64(count))
        return (0..<count).map { _ in Float.random(in: -scale...scale, using: &generator) }
    }
}
