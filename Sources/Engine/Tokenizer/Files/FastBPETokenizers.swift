import Foundation

/// BERTweet's and PhoBERT's tokenizers, which Transformers has in Python: `vocab.txt` with a count behind each token, and
/// `bpe.codes` with one behind each merge.
extension TokenizerFiles {
    func fastBPE(_ vocabularySize: Int) throws(InputError) -> TextTokenizer {
        var ids: [[UInt8]: Int] = [:]
        for (id, name) in ["bos_token", "pad_token", "eos_token", "unk_token"].enumerated() {
            ids[Array((settings.content(name) ?? "").utf8)] = id
        }
        for (index, line) in try lines("vocab.txt").enumerated() {
            let trimmed = line.trimmedAsPython
            guard let space = trimmed.lastIndex(of: UInt8(ascii: " ")) else {
                throw InputError(
                    "vocab.txt", "line \(index + 1) is \"\(trimmed.text)\"; it must be a token, a space and its count")
            }
            ids[Array(trimmed[..<space])] = ids.count  // of one that stands twice the second
        }
        // The last line counts only with a line end behind it.
        var codes = try lines("bpe.codes")
        if !codes.isEmpty, try JSONFile.bytes(directory + "/bpe.codes").last != 0x0A { codes.removeLast() }
        var merges: [VocabularyFiles.Merge] = []
        for (index, line) in codes.enumerated() {
            let fields = line.trimmedAsPython.split { $0 == 0x20 || $0 == 0x09 }
            guard fields.count == 3 else {
                throw InputError(
                    "bpe.codes", "line \(index + 1) is \"\(line.text)\"; it must be two tokens and their count")
            }
            merges.append((Array(fields[0]), Array(fields[1])))
        }
        let model = FastBPE(vocabulary: TokenTable(ids.map { ($0.key, $0.value) }), unknownID: 3, merges: merges)
        var vocabulary = AddedVocabulary(model)
        for (id, token) in settings.addedTokens { vocabulary.set(id, token.unnormalized) }
        vocabulary.add(
            settings.tokensToAdd().filter { token in !settings.adds(token.content.text) }
                .map { AddedToken($0.content.text, isSpecial: true, normalized: false) })
        removeUnreachable(&vocabulary, vocabularySize)
        let normalizes = family == .bertweet ? try settings.flag("normalization") ?? false : false
        return TextTokenizer(
            added: vocabulary.tokens, normalizer: normalizes ? TweetNormalizer() : nil, preTokenizer: PythonWords(),
            model: model,
            postProcessor: .roberta(
                cls: try id("cls_token", vocabulary, "vocab.txt"), sep: try id("sep_token", vocabulary, "vocab.txt")),
            cutting: .python)
    }

    private func lines(_ name: String) throws(InputError) -> [[UInt8]] {
        let bytes = try JSONFile.bytes(directory + "/" + name)
        guard bytes.isValidUTF8 else { throw InputError(name, "is not valid UTF-8") }
        return VocabularyFiles.split(bytes)
    }
}

extension [UInt8] {
    /// As str.strip() in Python.
    fileprivate var trimmedAsPython: [UInt8] {
        withUnsafeBufferPointer { text in
            let walk = ScalarWalk(bytes: text)
            var (start, end) = (0, text.count)
            while let (scalar, next) = walk.scalar(at: start), UnicodeClass.isPythonSpace(scalar) { start = next }
            while end > start, let scalar = walk.scalar(before: end), UnicodeClass.isPythonSpace(scalar) {
                end -= Unicode.Scalar(scalar).map { UTF8.width($0) } ?? 1
            }
            return Array(text[start..<end])
        }
    }
}
