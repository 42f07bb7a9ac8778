/// The package's version, as `apus --version` and `/status` give it.
public let apusVersion = "0.1.0"
