#!/usr/bin/env python3
"""The memory of an int8 RoBERTa-base process, which is checked, and the time from its start to the first label, which is
only told: machines differ, and are busy.

    tools/check_footprint.py --apus .build/release/apus [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

import int8_checkpoint

MAXIMUM_MEGABYTES = 220
RUNS = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--apus", required=True, type=Path)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("APUS_DATA", "../shared/data")))
    arguments = parser.parse_args()
    apus = arguments.apus.resolve()
    report("the shipped model", [apus, "predict", "--input", "-"])
    with tempfile.TemporaryDirectory() as folder:
        write_roberta_base(Path(folder), arguments.data / "roberta-base-tokenizer")
        megabytes = report("RoBERTa-base, int8", [apus, "predict", "--input", "-", "--model", folder])
    if megabytes > MAXIMUM_MEGABYTES:
        print(f"failed: {megabytes:.0f} MB is more than {MAXIMUM_MEGABYTES} MB")
        return 1
    return 0


def report(name: str, command: list) -> float:
    """Prints the best and the middle one of a few runs; returns the most memory that any had, in MB."""
    seconds, megabytes = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            process.stdin.write("I love MLOps\n")
            process.stdin.flush()
            if not process.stdout.readline().startswith(("positive", "negative", "neutral", "LABEL_")):
                raise SystemExit(f"{' '.join(map(str, command))}: no label")
            seconds.append(time.perf_counter() - start)
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            megabytes.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
            process.stdin.close()
    seconds.sort()
    print(f"{name}: first label after {seconds[0]:.3f} s at best, {seconds[RUNS // 2]:.3f} s in the middle; "
          f"{max(megabytes):.0f} MB")
    return max(megabytes)


def write_roberta_base(directory: Path, tokenizer: Path) -> None:
    torch.manual_seed(1)
    config = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
                           num_labels=3)
    config.architectures = ["RobertaForSequenceClassification"]
    state = RobertaForSequenceClassification(config).state_dict()
    tensors = int8_checkpoint.quantize({name: value.numpy() for name, value in state.items()})
    int8_checkpoint.write(directory, tensors, config.to_dict())
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(tokenizer / name, directory / name)


if __name__ == "__main__":
    sys.exit(main())
