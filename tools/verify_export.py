#!/usr/bin/env python3
"""Checks what `apus quantize` wrote with the libraries that others open it with: Transformers and compressed-tensors.

    tools/verify_export.py --original DIR --export DIR --apus .build/release/apus --texts FILE [--min-agreement 0.98]

Every matrix must be within half a step of the original's, every other tensor equal to it; with --steps, for weights that were
rounded by texts, biases may differ: the means of what products take are in them. Transformers must open the export
as it is and find every tensor. With activations in f32, its logits must be those of `apus predict --precision f32` within
1e-4: both read the same weights. With activations in int8, they must be those of `apus predict` within --tolerance, with the
same labels; sums that differ in the last bit round activations to other levels, so that this is no closer. How often the
original's labels are kept is told, and checked against --min-agreement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' progress bars, before they are imported

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from classification_data import prepare, read_lines

F32_TOLERANCE = 1e-4
# Their positions begin behind the padding's id.
LATE_POSITIONS = ("camembert", "mpnet", "roberta", "xlm-roberta")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--original", required=True, type=Path, help="the model directory that was quantized")
    parser.add_argument("--export", required=True, type=Path, help="what apus quantize wrote")
    parser.add_argument("--apus", required=True, type=Path)
    parser.add_argument("--texts", required=True, type=Path, help="a text a line")
    parser.add_argument("--count", type=int, default=500, help="how many of the texts")
    parser.add_argument("--tolerance", type=float, default=0.05, help="of a logit in int8")
    parser.add_argument("--steps", type=float, default=0.5, help="how many of its row's steps a weight may be from the original's; "
                        "with --calibration, apus quantize takes some further than to the nearest")
    parser.add_argument("--min-agreement", type=float, default=0.0)
    arguments = parser.parse_args()
    texts = [prepare(text) for text in read_lines(arguments.texts)[:arguments.count]]

    model = AutoModelForSequenceClassification.from_pretrained(arguments.original, dtype=torch.float32).eval()
    original = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tensors = load_file(arguments.export / "model.safetensors")
    failures = compare_weights(original, tensors, arguments.steps)
    if failures:
        # Whose logits cannot be the original's; apus may not even take it.
        return report(failures)
    export, loading = AutoModelForSequenceClassification.from_pretrained(arguments.export, output_loading_info=True)
    failures += [f"Transformers finds {what.replace('_', ' ')}: {sorted(names)}" for what, names in loading.items() if names]

    tokenizer = AutoTokenizer.from_pretrained(arguments.export)
    before = logits(model, tokenizer, texts)
    int8 = logits(export.eval(), tokenizer, texts)
    leave_activations(export)
    f32 = logits(export, tokenizer, texts)
    apus = {precision: apus_logits(arguments.apus, arguments.export, texts, precision) for precision in ("f32", "int8")}
    sizes = [sum(file.stat().st_size for file in directory.iterdir() if file.suffix in (".bin", ".safetensors"))
             for directory in (arguments.original, arguments.export)]
    print(f"{len(tensors)} tensors, {sizes[1] / 1e6:.1f} MB of {sizes[0] / 1e6:.1f} MB ({sizes[1] / sizes[0]:.1%})")

    difference = float(np.abs(f32 - apus["f32"]).max())
    print(f"{len(texts)} texts: logits of the int8 weights in f32, Transformers and apus: {difference:.2e} apart at most")
    if not difference <= F32_TOLERANCE:
        failures.append(f"in f32, Transformers and apus differ by {difference:.2e}, more than {F32_TOLERANCE:g}")
    differences = np.abs(int8 - apus["int8"]).max(axis=1)
    others = int((int8.argmax(-1) != apus["int8"].argmax(-1)).sum())
    print(f"in int8, Transformers and apus: {differences.max():.4f} apart at most, {np.median(differences):.4f} in the middle; "
          f"{others} other labels")
    if not differences.max() <= arguments.tolerance:
        failures.append(f"in int8, Transformers and apus differ by {differences.max():.4f}, more than {arguments.tolerance:g}")
    if others:
        failures.append(f"in int8, Transformers and apus differ in the labels of {others} texts")
    agreement = float((before.argmax(-1) == apus["int8"].argmax(-1)).mean())
    print(f"to the original in f32: {np.abs(before - apus['int8']).max():.4f} apart at most, {agreement:.2%} same labels")
    if not agreement >= arguments.min_agreement:
        failures.append(f"{agreement:.2%} same labels is under --min-agreement {arguments.min_agreement:.2%}")
    return report(failures)


def report(failures: list[str]) -> int:
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def compare_weights(original: dict[str, np.ndarray], tensors: dict[str, np.ndarray], steps: float) -> list[str]:
    """What in the export is not the original's tensor, or not within so many quantization steps of it."""
    failures = []
    names = {name for name in tensors if not (name.endswith("_scale") and name.removesuffix("_scale") in tensors)}
    # Buffers and the pooler that a RoBERTa classifier never reads stay behind.
    missing = [name for name in original if name not in names and ".pooler." not in name and not name.endswith("_ids")]
    if missing or names - set(original):
        failures.append(f"tensors missing: {missing}; not the original's: {sorted(names - set(original))}")
    for name in sorted(names & set(original)):
        value = tensors[name]
        if value.dtype != np.int8:
            is_moved = steps > 0.5 and name.endswith(".bias") and value.shape == original[name].shape
            if not is_moved and not np.array_equal(value, original[name]):
                failures.append(f"{name} is not the original's")
            continue
        scale = tensors.get(f"{name}_scale")
        if scale is None or scale.shape != (len(value), 1) or value.shape != original[name].shape:
            failures.append(f"{name} has not the original's shape, or no scale a row")
            continue
        # And what rounding in f32 adds to it.
        error = np.abs(original[name] - value.astype(np.float32) * scale) / scale
        if not error.max() <= steps + 1e-4:
            failures.append(f"{name} is {error.max():.3f} steps off")
    return failures


def leave_activations(model: PreTrainedModel) -> None:
    """From here on the products of a model of compressed-tensors are of its inputs as they are."""
    for module in model.modules():
        module.quantization_enabled = False


@torch.no_grad()
def logits(model: PreTrainedModel, tokenizer, texts: list[str]) -> np.ndarray:
    """[texts, labels], a text at a time: no padding."""
    limit = model.config.max_position_embeddings - (2 if model.config.model_type in LATE_POSITIONS else 0)
    rows = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def apus_logits(apus: Path, model: Path, texts: list[str], precision: str) -> np.ndarray:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [apus, "predict", "--model", model, "--precision", precision, "--text-preparation", "none", "--logits",
               "--input", "-", "--input-format", "jsonl"]
    output = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout
    return np.array([json.loads(line)["logits"] for line in output.splitlines()], dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
