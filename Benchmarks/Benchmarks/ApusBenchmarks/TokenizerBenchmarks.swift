import Benchmark
import Engine
import Foundation

/// What tweets look like: mentions, links, tags, emoji, capitals, other scripts. Made here, so that they are the same everywhere.
let tweets: [String] = {
    let beginnings = [
        "@user", "RT @user:", "", "So", "Honestly,", "BREAKING:", "¿Por qué?", "@user @user", "Can't believe", "I",
    ]
    let middles = [
        "love the new album, it's on repeat", "hate when the bus is late AGAIN", "the meeting is at 3pm on Tuesday",
        "this is the worst customer service I've ever had!!!", "we're going to see the Lakers on Saturday night",
        "just finished reading the second chapter of Harry Potter", "das war großartig, naïve café",
        "can't wait for tomorrow's premiere", "nobody told me that #monday would be like this",
    ]
    let ends = ["😍😍", "http://t.co/abc123", "#blessed #tbt", "...", "lol", "😭", "🤷🏽‍♀️ whatever", "✨ 東京 ✨"]
    return (0..<500).map { index in
        [beginnings[index % beginnings.count], middles[index % middles.count], ends[index % ends.count]]
            .filter { !$0.isEmpty }.joined(separator: " ")
    }
}()

func tokenizerBenchmarks() {
    let figures: [Figure] = [.ofWalk, .allocations, .perSecond, .nanoseconds]
    measure("WordPiece of the shipped model, 500 tweets", figures) {
        try tokenize(try TextTokenizer(try ModelDirectory.shipped()))
    }
    let name = "BPE of RoBERTa-base, 500 tweets"
    if let data = Suite.data, FileManager.default.fileExists(atPath: data + "/roberta-base-tokenizer/vocab.json") {
        measure(name, figures) { try tokenize(try roberta(data + "/roberta-base-tokenizer")) }
    } else {
        skip(name, because: "it needs roberta-base-tokenizer in APUS_DATA")
    }
}

/// The tokenizer's files beside a configuration: together they are a model directory.
private func roberta(_ files: String) throws -> TextTokenizer {
    let directory = NSTemporaryDirectory() + "apus-benchmarks-\(getpid())"
    let manager = FileManager.default
    try manager.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? manager.removeItem(atPath: directory) }
    for name in ["vocab.json", "merges.txt"] {
        try manager.copyItem(atPath: "\(files)/\(name)", toPath: "\(directory)/\(name)")
    }
    let config = """
        {"architectures": ["RobertaForSequenceClassification"], "num_hidden_layers": 12, "hidden_size": 768,
         "intermediate_size": 3072, "num_attention_heads": 12, "vocab_size": 50265, "max_position_embeddings": 514,
         "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "num_labels": 3, "pad_token_id": 1}
        """
    try Data(config.utf8).write(to: URL(fileURLWithPath: directory + "/config.json"))
    return try TextTokenizer(try ModelDirectory(path: directory))
}

private func tokenize(_ tokenizer: TextTokenizer) throws -> Sample {
    // The slow way to the same ids: byte by byte from the tokens' texts, for what is plain.
    let texts = tokenizer.tokensByID()
    let plain = "the meeting is at noon on tuesday"
    let read = try tokenizer.encode(plain).ids.dropFirst().dropLast().map { texts[$0]! }.joined()
        .replacing("Ġ", with: "").replacing("##", with: "")
    try expect(read == plain.replacing(" ", with: ""), "\(plain) is read as \(read)")
    let body = {
        for tweet in tweets { blackHole(try! tokenizer.encode(tweet).ids.count) }
    }
    let subject = Repeated(body)
    let walk = Repeated {
        var sum: UInt32 = 0
        for tweet in tweets { for scalar in tweet.unicodeScalars { sum &+= scalar.value } }
        blackHole(sum)
    }
    let sample = compare(subject, with: walk, .ofWalk)
    return { record in
        record(.allocations, allocations(body))
        sample { figure, value in
            record(figure, value)
            if figure == .nanoseconds { record(.perSecond, Double(tweets.count) * 1e9 / value) }
        }
    }
}
