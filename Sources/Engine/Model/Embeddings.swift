/// Words, absolute positions and token types, summed up and normalized; where they are narrower than the layers, projected.
package struct Embeddings: Sendable {
    let words: EmbeddingTable
    let places: PositionTable
    let norm: LayerNorm
    let projection: Linear?
    /// The name of the norm whose outputs the layers take; nil where those are a projection's.
    let outputNorm: String?

    /// - Parameters:
    ///   - name: what the tensors' names begin with.
    ///   - width: of a row; the layers' where it is nil.
    ///   - projection: the layer's name, where there is one.
    init(
        _ config: ModelConfig, _ weights: inout WeightReader, name: String, width: Extent? = nil,
        projection: String? = nil
    ) throws(InputError) {
        let width = width ?? config.hidden
        words = try weights.table("\(name).word_embeddings.weight", config.vocabulary, width)
        let positions = try weights.table("\(name).position_embeddings.weight", config.positions, width)
        let typeTable = try config.sizes.types.map { types throws(InputError) in
            try weights.table("\(name).token_type_embeddings.weight", types, width, isExact: true)
        }
        places = try PositionTable(
            positions, types: typeTable, count: config.positions.value, columns: width.value, in: weights.arena)
        norm = try weights.layerNorm("\(name).LayerNorm", width, epsilon: config.sizes.layerNormEpsilon)
        outputNorm = projection == nil ? "\(name).LayerNorm" : nil
        self.projection = try projection.map { projection throws(InputError) in
            try weights.linear(projection, from: width, to: config.hidden)
        }
    }

    /// Where it is projected, [tokens, width]; nil else.
    func makeScratch(_ space: ScratchSpace) throws(InputError) -> Activations? {
        projection == nil ? nil : try space.activations(words.columns)
    }

    /// x [tokens, hidden]
    func callAsFunction(_ batch: TokenBatch, scratch: Activations?, into x: Activations, _ ops: Ops) {
        if let projection, let narrow = scratch?.prefix(x.rows) {
            ops.embed(words, batch.ids, places, batch.positionIDs, norm, into: narrow)
            ops.linear(narrow, projection, into: x)
        } else {
            ops.embed(words, batch.ids, places, batch.positionIDs, norm, into: x)
        }
    }
}
