import ArgumentParser
import Engine
import Foundation

struct Calibrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fits a temperature on labelled texts, so that a model's probabilities match how often it is right.",
        discussion: """
            Logits are divided by the temperature with the least log loss on the split, which must not be the one that the \
            model is measured on. It stands in the model's directory as calibration.json, and predict, serve, evaluate and \
            compare apply it; --raw leaves it out. A temperature alone changes no label.
            """)

    @OptionGroup var model: ModelOptions

    @OptionGroup var data: DatasetOptions

    @Flag(help: "Also fits a bias for each label, which may change labels: use it if the split has the labels' real shares.")
    var bias = false

    @Option(help: "Writes a calibrated copy of the model to this directory, instead of changing the model's own.")
    var output: String?

    func run() async throws {
        let directory = try await model.location.resolve()
        if let output {
            try CalibratedCopy.check(directory, output)
        } else if directory.revision != nil || directory == (try? ModelDirectory.shipped()) {
            throw InputError(
                directory.name,
                directory.revision == nil
                    ? "is the model inside the package, which stays as it is; write a calibrated copy: --output DIR"
                    : "is in the Hub's cache, whose files are what the Hub has; write a calibrated copy: --output DIR")
        }
        var options = try model.options()
        options.usesCalibration = false
        let classifier = try Classifier(directory, options: options)
        if let note = classifier.note { StandardError.write("apus: \(note)\n") }
        let dataset = try data.dataset(for: classifier)
        var bar = ProgressBar(title: "calibrate")
        defer { bar.clear() }
        let fit: CalibrationFit
        do {
            fit = try CalibrationFit(classifier, on: dataset, fitsBias: bias) { bar.show($0, of: $1) }
        } catch let error as TextError {
            throw dataset.locate(error)
        }
        bar.clear()
        let path: String
        if let output {
            try CalibratedCopy.write(directory, fit.calibration, to: output)
            path = "\(output)/\(Calibration.fileName)"
        } else {
            path = directory.file(Calibration.fileName)
            try FileReplacement.write(fit.calibration.bytes, to: path)
            let stale = [StoredEvaluation.fileName, ReferenceProfile.fileName].map(directory.file)
                .filter { FileManager.default.fileExists(atPath: $0) }
            if !stale.isEmpty {
                StandardError.write(
                    "apus: \(stale.joined(separator: " and ").printable) tell of the model before: renew them with apus evaluate "
                        + "(--report, --drift-reference)\n")
            }
        }
        try StandardOutput.write(Array(summary(fit, path).utf8))
    }

    private func summary(_ fit: CalibrationFit, _ path: String) -> String {
        let calibration = fit.calibration
        var lines = [
            "\(path.printable): temperature \(String(format: "%.4f", calibration.temperature)), fitted on "
                + "\(calibration.dataset.printable), \(calibration.split.printable): \(calibration.examples) texts",
            "                    before   after",
        ]
        for (before, after) in zip(fit.before.rows, fit.after.rows) {
            let name = before.name.padding(toLength: 20, withPad: " ", startingAt: 0)
            lines.append(name + String(format: "%.4f  %.4f", before.value, after.value))
        }
        for (label, bias) in zip(calibration.labels, calibration.bias ?? []) {
            lines.append("bias of \(label.printable): \(String(format: "%+.4f", bias))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
