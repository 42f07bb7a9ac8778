import Foundation

/// A model's directory once more, with a calibration: for a model that must stay as it is, of the Hub's cache or the package.
public enum CalibratedCopy {
    /// Refuses what no copy can be made of, before any work is done for it.
    public static func check(_ model: ModelDirectory, _ output: String) throws(InputError) {
        try NewDirectory.requireFree(output)
        guard !model.isFastText else {
            throw InputError(
                model.name,
                "is a fastText model, whose calibration stands beside its file; copy the file and calibrate the copy, without "
                    + "--output")
        }
    }

    /// Whole, or not at all. What was measured on the model before is not copied.
    public static func write(_ model: ModelDirectory, _ calibration: Calibration, to output: String) throws(InputError) {
        try check(model, output)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: model.path)) ?? []
        let measured = [Calibration.fileName, StoredEvaluation.fileName, ReferenceProfile.fileName]
        try NewDirectory.write(output) { directory throws(InputError) in
            for name in ModelFiles.needed(of: names) where !measured.contains(name) {
                let path = URL(fileURLWithPath: "\(model.path)/\(name)").resolvingSymlinksInPath().path
                do {
                    try FileManager.default.copyItem(atPath: path, toPath: "\(directory)/\(name)")
                } catch {
                    throw InputError("\(directory)/\(name)", "cannot be written: \(error.localizedDescription)")
                }
            }
            try FileReplacement.write(calibration.bytes, to: "\(directory)/\(Calibration.fileName)")
        }
    }
}
