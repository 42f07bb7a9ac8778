#!/usr/bin/env python3
"""Checks what `apus quantize` wrote, with numpy, safetensors and PyTorch.

    tools/verify_export.py --original DIR --export DIR --apus .build/release/apus --texts FILE [--min-agreement 0.98]

Every matrix must be within half a step of the original's, every other tensor equal to it. The logits of the dequantized
weights, computed by PyTorch, must be those of `apus predict --precision f32` for the export, within 1e-4. How often the
original's labels are kept is told, and checked against --min-agreement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import int8_checkpoint
from classification_data import prepare, read_lines

LOGIT_TOLERANCE = 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--original", required=True, type=Path, help="the model directory that was quantized")
    parser.add_argument("--export", required=True, type=Path, help="what apus quantize wrote")
    parser.add_argument("--apus", required=True, type=Path)
    parser.add_argument("--texts", required=True, type=Path, help="a text a line")
    parser.add_argument("--count", type=int, default=200, help="how many of the texts")
    parser.add_argument("--min-agreement", type=float, default=0.0)
    arguments = parser.parse_args()
    texts = read_lines(arguments.texts)[:arguments.count]

    model = AutoModelForSequenceClassification.from_pretrained(arguments.original, dtype=torch.float32).eval()
    original = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tensors = load_file(arguments.export / "model.safetensors")
    failures = compare_weights(original, tensors)
    if failures:
        # Whose logits cannot be the original's; apus may not even take it.
        return report(failures)

    tokenizer = AutoTokenizer.from_pretrained(arguments.original)
    before = logits(model, tokenizer, texts)
    weights = {name: torch.from_numpy(value) for name, value in int8_checkpoint.dequantize(tensors).items()}
    model.load_state_dict(weights, strict=False)
    after = logits(model, tokenizer, texts)
    apus = apus_logits(arguments.apus, arguments.export, texts)
    difference = float(np.abs(after - apus).max())
    agreement = float((before.argmax(-1) == after.argmax(-1)).mean())
    sizes = [sum(file.stat().st_size for file in directory.iterdir() if file.suffix in (".bin", ".safetensors"))
             for directory in (arguments.original, arguments.export)]
    print(f"{len(tensors)} tensors, {sizes[1] / 1e6:.1f} MB of {sizes[0] / 1e6:.1f} MB ({sizes[1] / sizes[0]:.1%})")
    print(f"{len(texts)} texts: logits of the dequantized weights, PyTorch and apus: {difference:.2e} apart at most")
    print(f"to the original: {np.abs(before - after).max():.4f} apart at most, {agreement:.2%} same labels")
    if not difference <= LOGIT_TOLERANCE:
        failures.append(f"PyTorch and apus differ by {difference:.2e}, more than {LOGIT_TOLERANCE:g}")
    if not agreement >= arguments.min_agreement:
        failures.append(f"{agreement:.2%} same labels is under --min-agreement {arguments.min_agreement:.2%}")
    return report(failures)


def report(failures: list[str]) -> int:
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def compare_weights(original: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> list[str]:
    """What in the export is not the original's tensor, or not within half a quantization step of it."""
    failures = []
    names = {name for name in tensors if not (name.endswith("_scale") and name.removesuffix("_scale") in tensors)}
    # Buffers and the pooler that a RoBERTa classifier never reads stay behind.
    missing = [name for name in original if name not in names and ".pooler." not in name and not name.endswith("_ids")]
    if missing or names - set(original):
        failures.append(f"tensors missing: {missing}; not the original's: {sorted(names - set(original))}")
    for name in sorted(names & set(original)):
        value = tensors[name]
        if value.dtype != np.int8:
            if not np.array_equal(value, original[name]):
                failures.append(f"{name} is not the original's")
            continue
        scale = tensors.get(f"{name}_scale")
        if scale is None or scale.shape != (len(value), 1) or value.shape != original[name].shape:
            failures.append(f"{name} has not the original's shape, or no scale a row")
            continue
        # Half a step, and what rounding in f32 adds to it.
        error = np.abs(original[name] - value.astype(np.float32) * scale) / scale
        if not error.max() <= 0.5 + 1e-4:
            failures.append(f"{name} is {error.max():.3f} steps off")
    return failures


@torch.no_grad()
def logits(model, tokenizer, texts: list[str]) -> np.ndarray:
    """[texts, labels], a text at a time: no padding."""
    limit = model.config.max_position_embeddings - (2 if model.config.model_type == "roberta" else 0)
    rows = []
    for text in texts:
        inputs = tokenizer(prepare(text), truncation=True, max_length=limit, return_tensors="pt")
        rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def apus_logits(apus: Path, model: Path, texts: list[str]) -> np.ndarray:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [apus, "predict", "--model", model, "--precision", "f32", "--logits", "--input", "-", "--input-format", "jsonl"]
    output = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout
    return np.array([json.loads(line)["logits"] for line in output.splitlines()], dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
