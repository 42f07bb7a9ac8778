import AllocationCounter
import Engine
import Foundation
import Testing

/// Logits against those of Hugging Face Transformers, written by tools/make_reference.py.
@Suite struct ModelTests {
    struct Reference {
        let inputs: [[Int]]
        let logits: [[Double]]
        /// With the products of matrices in simulated int8.
        let int8Logits: [[Double]]

        init(_ name: String) throws {
            let json = try Fixtures.json(Fixtures.model(name) + "/reference.json")
            inputs = try #require(json["inputs"]?.array).map { try #require($0.array).compactMap(\.integer) }
            func rows(_ name: String) throws -> [[Double]] {
                try #require(json[name]?.array).map { try #require($0.array).compactMap(\.double) }
            }
            logits = try rows("logits")
            int8Logits = try rows("int8_logits")
        }
    }

    /// The numbers' contract: within 1e-4 of Transformers'.
    private func expectClose(_ found: [Float], _ expected: [Double], _ place: String) {
        #expect(found.count == expected.count)
        for (found, expected) in zip(found, expected) { #expect(abs(Double(found) - expected) <= 1e-4, "\(place)") }
    }

    private func classifier(_ name: String, _ options: Classifier.Options = .init()) throws -> Classifier {
        try Classifier(model: Fixtures.model(name), options: options)
    }

    private static let sets = InstructionSet.available.map(\.name)

    private func instructionSet(_ name: String) -> InstructionSet? { InstructionSet.available.first { $0.name == name } }

    @Test(arguments: Fixtures.models, sets)
    func `each text alone has Transformers' logits, on every instruction set`(_ name: String, _ isa: String) throws {
        let reference = try Reference(name)
        #expect(reference.inputs.count >= 8)
        let classifier = try classifier(name, .init(precision: .f32, instructionSet: instructionSet(isa)))
        for (ids, expected) in zip(reference.inputs, reference.logits) {
            expectClose(classifier.session.logits([Encoding(ids: ids)])[0], expected, "\(ids.count) tokens")
        }
    }

    @Test(arguments: Fixtures.models)
    func `through OpenBLAS, texts have Transformers' logits`(_ name: String) throws {
        let reference = try Reference(name)
        let classifier = try classifier(name, .init(backend: .openblas, threads: 2))
        #expect(classifier.precision == .f32 && classifier.backend == .openblas)
        for (ids, expected) in zip(reference.inputs, reference.logits) {
            expectClose(classifier.session.logits([Encoding(ids: ids)])[0], expected, "\(ids.count) tokens")
        }
    }

    @Test func `OpenBLAS has no int8, and says so`() {
        let message = message { _ = try Classifier.Options(precision: .int8, backend: .openblas).inference() }
        #expect(message == "--backend openblas: has no int8 products; use --precision f32, or --backend simd")
    }

    @Test(arguments: Fixtures.models, Precision.allCases)
    func `logits have the same bits on every instruction set, for 1, 2 and 3 threads, alone and in any batch`(
        _ name: String, _ precision: Precision
    ) throws {
        func bits(_ logits: [[Float]]) -> [[UInt32]] { logits.map { $0.map(\.bitPattern) } }
        let inputs = try Reference(name).inputs
        let shuffled = Array(inputs.indices.filter { $0 % 2 == 1 } + inputs.indices.filter { $0 % 2 == 0 }.reversed())
        var expected: [[UInt32]]?
        for isa in Self.sets {
            for threads in 1...3 {
                let session = try classifier(
                    name, .init(precision: precision, threads: threads, instructionSet: instructionSet(isa))
                ).session
                #expect(session.options.instructionSet.name == isa)
                let alone = bits(inputs.map { session.logits([Encoding(ids: $0)])[0] })
                if expected == nil { expected = alone }
                #expect(alone == expected, "\(isa), \(threads) threads")
                for batch in batches(shuffled, of: inputs, within: session.batchTokens) {
                    let together = bits(session.logits(batch.map { Encoding(ids: inputs[$0]) }))
                    #expect(together == batch.map { alone[$0] }, "\(isa), \(threads) threads, in a batch")
                }
            }
        }
    }

    @Test(arguments: Precision.allCases)
    func `the shipped model's logits have the same bits on every instruction set and number of threads`(
        _ precision: Precision
    ) throws {
        let texts = ["I love MLOps 😍", String(repeating: "what a day, @user! ", count: 14)]
        var expected: [[UInt32]]?
        for isa in Self.sets {
            for threads in 1...3 {
                let classifier = try Classifier(
                    options: .init(precision: precision, threads: threads, instructionSet: instructionSet(isa)))
                let found = try classifier.predict(texts).map { $0.logits.map(\.bitPattern) }
                if expected == nil { expected = found }
                #expect(found == expected, "\(isa), \(threads) threads")
            }
        }
    }

    /// `order` in consecutive parts that each fit a pass.
    private func batches(_ order: [Int], of inputs: [[Int]], within tokens: Int) -> [[Int]] {
        var batches: [[Int]] = [[]]
        for index in order {
            let used = batches.last!.reduce(0) { $0 + inputs[$1].count }
            if used + inputs[index].count > tokens { batches.append([]) }
            batches[batches.count - 1].append(index)
        }
        return batches
    }

    @Test(arguments: Fixtures.models)
    func `int8 logits are those of PyTorch with simulated int8 products`(_ name: String) throws {
        let reference = try Reference(name)
        let session = try classifier(name, .init(precision: .int8)).session
        for (index, ids) in reference.inputs.enumerated() {
            expectClose(session.logits([Encoding(ids: ids)])[0], reference.int8Logits[index], "\(ids.count) tokens")
        }
    }

    @Test func `without options, the best instruction set computes in int8 on what the process may use`() throws {
        let classifier = try classifier("bert-tiny")
        #expect(classifier.precision == .int8 && classifier.backend == .simd)
        #expect(classifier.instructionSet.name == ProcessInfo.processInfo.environment["APUS_FORCE_ISA"] ?? Self.sets.last)
        #expect(classifier.threads == ProcessorCount.available)
    }

    @Test(.enabled(if: allocation_counter_works() != 0, "allocations are counted on glibc, without a sanitizer"))
    func `a forward pass allocates nothing once it is warm`() async {
        // In a process of its own, where nothing else allocates.
        await #expect(processExitsWith: .success) {
            for (name, precision, threads) in [
                ("roberta-tiny", Precision.int8, 1), ("roberta-tiny", .f32, 2), ("bert-tiny", .int8, 2),
                ("roberta-odd", .int8, 2),
            ] {
                let classifier = try Classifier(
                    model: Fixtures.model(name), options: .init(precision: precision, threads: threads))
                let batches = [
                    [[0, 5, 6, 2]], [[0, 7, 2], [0, 8, 9, 4, 2], Array(repeating: 5, count: 64)],
                    Array(repeating: [0, 8, 9, 2], count: 6),
                ].map { $0.map(Encoding.init(ids:)) }
                let counts = classifier.session.onInferenceThread {
                    for ids in batches { classifier.session.run(ids) { _ in } }
                    return batches.map { ids in
                        let before = allocation_counter_count()
                        for _ in 0..<100 { classifier.session.run(ids) { _ in } }
                        return allocation_counter_count() - before
                    }
                }
                guard counts == [0, 0, 0] else {
                    fatalError("\(name), \(precision), \(threads) threads: \(counts) allocations")
                }
            }
            guard allocation_counter_count() > 100 else { fatalError("the counter does not count") }
        }
    }

    @Test func `the shipped model knows good from bad, and nothing from neither`() throws {
        let classifier = try Classifier(try ModelDirectory.shipped())
        #expect(classifier.labels == ["negative", "neutral", "positive"])
        let texts = [
            "I love MLOps", "This is the worst phone I have ever had", "The meeting is at noon on Tuesday",
            "best day ever 😍", "so sad 😭 goodbye",
        ]
        let labels = try classifier.predict(texts).map(\.best.label)
        #expect(labels == ["positive", "negative", "neutral", "positive", "negative"])
    }

    @Test func `more texts than fit one pass come back in order, each as alone`() throws {
        let classifier = try classifier("bert-tiny")
        let texts = (0..<300).map { "word \($0) " + String(repeating: "again ", count: $0 % 40) }
        let together = try classifier.predict(texts)
        for (text, prediction) in zip(texts, together) {
            let alone = try classifier.predict([text])[0]
            #expect(alone.logits.map(\.bitPattern) == prediction.logits.map(\.bitPattern))
            #expect(abs(prediction.scores.map(\.value).reduce(0, +) - 1) < 1e-6)
        }
        #expect(try classifier.predict([String]()).isEmpty)
    }

    @Test func `a text longer than the model is cut off and says so`() throws {
        let prediction = try classifier("roberta-tiny").predict([String(repeating: "so good ", count: 200)])[0]
        #expect(prediction.isTruncated && prediction.tokens == 64)
    }

    @Test func `concurrent callers each get their own answers`() async throws {
        let classifier = try classifier("roberta-tiny")
        let texts = (0..<24).map { "text number \($0)" + String(repeating: "!", count: $0) }
        let expected = try texts.map { try classifier.predict([$0])[0].logits }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                for (text, logits) in zip(texts, expected) {
                    group.addTask {
                        let found = try classifier.predict([text])[0].logits
                        #expect(found == logits)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `the instruction set can be forced by name, and a wrong name is an error`() throws {
        for available in InstructionSet.available {
            #expect(try InstructionSet.select(environment: ["APUS_FORCE_ISA": available.name]).name == available.name)
        }
        #expect(try InstructionSet.select(environment: [:]).name == InstructionSet.available.last?.name)
        #expect(
            message { _ = try InstructionSet.select(environment: ["APUS_FORCE_ISA": "mmx"]) }
                .hasPrefix("APUS_FORCE_ISA: mmx is unknown; known are scalar"))
    }
}
