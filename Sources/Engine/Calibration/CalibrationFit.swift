/// Fits a calibration to labelled texts: the temperature, and where asked for a bias a label, with the least log loss.
///
/// In 1/T and the biases the log loss is convex (a generalized linear model), so the minimum is one; the arithmetic is our own,
/// in f64 and one order, so the same logits give the same bits on every machine.
public struct CalibrationFit: Sendable {
    public let calibration: Calibration
    /// On the texts it was fitted on; probabilities without and with the calibration.
    public let before: CalibrationMetrics
    public let after: CalibrationMetrics

    /// Runs the model, without the calibration it has, over the data set.
    public init(
        _ classifier: Classifier, on dataset: Dataset, fitsBias: Bool = false,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        guard let function = classifier.model.calibratedFunction else {
            throw InputError(
                classifier.directory.name,
                classifier.kind == .numbers
                    ? "answers numbers, not probabilities (a regression): there is nothing to calibrate"
                    : "is a fastText model that judges each label by itself (one-vs-all, negative sampling), from a table of "
                        + "its library; calibrated are models with a softmax, and those of several labels a text")
        }
        guard classifier.calibration == nil else {
            throw InputError(
                classifier.directory.name, "was loaded with its calibration; load it without (--raw) to fit one")
        }
        var logits: [[Double]] = []
        var scores: [[Float]] = []
        for start in stride(from: 0, to: dataset.texts.count, by: 64) {
            let range = start..<min(start + 64, dataset.texts.count)
            let inputs = try range.map { try classifier.input(dataset.texts[$0], pair: dataset.pairs[$0], index: $0) }
            for prediction in try classifier.predict(inputs) {
                logits.append(prediction.logits.map(Double.init))
                scores.append(prediction.scores.map(\.value))
            }
            progress(range.upperBound, dataset.texts.count)
        }
        let truth: [[Int]] =
            switch dataset.truth {
            case .labels(let labels): labels.map { [$0] }
            case .sets(let sets): sets
            case .numbers: preconditionFailure("a regression has no probabilities")
            }
        let targets = truth.map { set in
            var target = [Double](repeating: 0, count: classifier.labels.count)
            for label in set { target[label] = 1 }
            return target
        }
        if fitsBias {
            let (counts, texts) = (
                classifier.labels.indices.map { label in targets.count { $0[label] == 1 } }, targets.count
            )
            let oneSided = classifier.labels.indices.filter { counts[$0] == 0 || counts[$0] == texts }
            guard oneSided.isEmpty else {
                throw InputError(
                    "\(dataset.name), \(dataset.split)",
                    "a bias needs texts with and without each label; it has them not for "
                        + "\(oneSided.map { classifier.labels[$0] }.listed). Leave --bias out, or take more texts")
            }
        }
        let loss = Loss(logits: logits, targets: targets, function: function)
        var fitted = (scale: loss.bestScale(), bias: [Double]?.none)
        if fitsBias { fitted = loss.bestScaleAndBias(from: fitted.scale) }
        let (temperature, bias) = (1 / fitted.scale, fitted.bias)
        guard Calibration.temperatures.contains(temperature), fitted.scale > Loss.scales.lowerBound,
            fitted.scale < Loss.scales.upperBound, bias?.allSatisfy(Calibration.biases.contains) ?? true
        else {
            throw InputError(
                "\(dataset.name), \(dataset.split)",
                "no temperature\(fitsBias ? " and bias" : "") within bounds has the least log loss: the "
                    + "\(dataset.texts.count) texts are too few, or the model is right on all of them, or no better than "
                    + "chance. Take more texts, or another model"
            )
        }
        calibration = Calibration(
            temperature: temperature, bias: bias, labels: classifier.labels, dataset: dataset.name, split: dataset.split,
            examples: dataset.texts.count, precision: classifier.precision.rawValue, model: classifier.modelDigest())
        let calibrated = logits.map { [calibration] in calibration.probabilities($0.map(Float.init), function) }
        switch dataset.truth {
        case .labels(let labels):
            func metrics(_ scores: [[Float]]) -> CalibrationMetrics {
                let best = scores.map { Prediction.best(of: $0, prefersLast: false) }
                return CalibrationMetrics(truth: labels, predicted: best, scores: scores)
            }
            (before, after) = (metrics(scores), metrics(calibrated))
        case .sets(let sets):
            before = CalibrationMetrics(truth: sets, scores: scores)
            after = CalibrationMetrics(truth: sets, scores: calibrated)
        case .numbers: preconditionFailure("a regression has no probabilities")
        }
    }

    /// The log loss of labelled logits, scaled by `scale` = 1/T and with biases, summed over the texts.
    package struct Loss {
        static let scales = 1 / Calibration.temperatures.upperBound...1 / Calibration.temperatures.lowerBound

        /// [texts][labels]
        package let logits: [[Double]]
        /// 1 for a true label, else 0.
        package let targets: [[Double]]
        package let function: ModelConfig.ScoreFunction

        package init(logits: [[Double]], targets: [[Double]], function: ModelConfig.ScoreFunction) {
            self.logits = logits
            self.targets = targets
            self.function = function
        }

        private var labelCount: Int { logits[0].count }

        private func scaled(_ row: [Double], _ scale: Double, _ bias: [Double]?) -> [Double] {
            row.indices.map { row[$0] * scale + (bias?[$0] ?? 0) }
        }

        package func value(_ scale: Double, _ bias: [Double]?) -> Double {
            var sum = 0.0
            for (row, target) in zip(logits, targets) {
                let z = scaled(row, scale, bias)
                switch function {
                case .softmax:
                    let largest = z.max() ?? 0
                    let total = z.reduce(0) { $0 + ReproducibleMath.exp($1 - largest) }
                    sum += largest + ReproducibleMath.log(total) - zip(z, target).reduce(0) { $0 + $1.0 * $1.1 }
                case .sigmoid:
                    for (z, target) in zip(z, target) {
                        sum += max(z, 0) - z * target + ReproducibleMath.log(1 + ReproducibleMath.exp(-abs(z)))
                    }
                case .identity: break
                }
            }
            return sum
        }

        /// d loss / d scale, which grows with the scale.
        private func slope(_ scale: Double) -> Double {
            var sum = 0.0
            for (row, target) in zip(logits, targets) {
                let probabilities = Calibration.probabilities(scaled(row, scale, nil), function)
                for label in row.indices { sum += (probabilities[label] - target[label]) * row[label] }
            }
            return sum
        }

        /// The scale where the slope is 0, by bisection down to neighbouring numbers; a bound where there is none within.
        package func bestScale() -> Double {
            var (low, high) = (Self.scales.lowerBound, Self.scales.upperBound)
            if slope(low) >= 0 { return low }
            if slope(high) <= 0 { return high }
            while true {
                let middle = low + (high - low) / 2
                guard middle > low, middle < high else { return low }
                if slope(middle) < 0 { low = middle } else { high = middle }
            }
        }

        /// By Newton's method with halved steps. A softmax' biases add up to 0: a constant upon all of them changes nothing.
        package func bestScaleAndBias(from start: Double) -> (scale: Double, bias: [Double]?) {
            let count = labelCount
            // Of a softmax the last bias stays 0 on the way.
            let free = function == .softmax ? count - 1 : count
            var (scale, bias) = (start, [Double](repeating: 0, count: count))
            var loss = value(scale, bias)
            for _ in 0..<100 {
                let (gradient, hessian) = derivatives(scale, bias, free)
                guard let step = Self.solution(hessian, gradient) else { break }
                var factor = 1.0
                var isBetter = false
                while factor > 1e-9, !isBetter {
                    let newScale = scale - factor * step[0]
                    let newBias = bias.indices.map { $0 < free ? bias[$0] - factor * step[$0 + 1] : 0 }
                    let newLoss = Self.scales.contains(newScale) ? value(newScale, newBias) : .infinity
                    if newLoss < loss {
                        (scale, bias, loss, isBetter) = (newScale, newBias, newLoss, true)
                    } else {
                        factor /= 2
                    }
                }
                if !isBetter { break }
            }
            if function == .softmax {
                let mean = bias.reduce(0, +) / Double(count)
                bias = bias.map { $0 - mean }
            }
            return (scale, bias)
        }

        /// By the scale, then the free biases.
        private func derivatives(
            _ scale: Double, _ bias: [Double], _ free: Int
        ) -> (gradient: [Double], hessian: [[Double]]) {
            var gradient = [Double](repeating: 0, count: free + 1)
            var hessian = [[Double]](repeating: gradient, count: free + 1)
            for (row, target) in zip(logits, targets) {
                let p = Calibration.probabilities(scaled(row, scale, bias), function)
                let mean = function == .softmax ? zip(p, row).reduce(0) { $0 + $1.0 * $1.1 } : 0
                for label in row.indices {
                    gradient[0] += (p[label] - target[label]) * row[label]
                    // Var x under p; of a sigmoid p(1 − p) x² each.
                    let weight = function == .softmax ? p[label] : p[label] * (1 - p[label])
                    hessian[0][0] += weight * (row[label] - mean) * (row[label] - mean)
                    guard label < free else { continue }
                    gradient[label + 1] += p[label] - target[label]
                    hessian[0][label + 1] += weight * (row[label] - mean)
                    hessian[label + 1][label + 1] += p[label] * (1 - p[label])
                    guard function == .softmax else { continue }
                    for other in 0..<label { hessian[other + 1][label + 1] -= p[other] * p[label] }
                }
            }
            for first in hessian.indices {
                for second in 0..<first { hessian[first][second] = hessian[second][first] }
            }
            return (gradient, hessian)
        }

        /// Of `matrix` · x = `right`, symmetric and positive definite, by Cholesky's method; nil where it is not.
        private static func solution(_ matrix: [[Double]], _ right: [Double]) -> [Double]? {
            var lower = matrix
            var x = right
            for row in matrix.indices {
                for column in 0...row {
                    var sum = matrix[row][column]
                    for k in 0..<column { sum -= lower[row][k] * lower[column][k] }
                    if row == column {
                        guard sum > 0 else { return nil }
                        lower[row][row] = sum.squareRoot()
                    } else {
                        lower[row][column] = sum / lower[column][column]
                    }
                }
                for k in 0..<row { x[row] -= lower[row][k] * x[k] }
                x[row] /= lower[row][row]
            }
            for row in matrix.indices.reversed() {
                for k in (row + 1)..<matrix.count { x[row] -= lower[k][row] * x[k] }
                x[row] /= lower[row][row]
            }
            return x
        }
    }
}
