"""The int8 checkpoint: symmetric, one scale a row (an output channel, or an embedding), as `apus` loads it.

Every matrix W [rows, columns] but the last projection onto the labels is stored as I8, beside it `<name>_scale`,
F32 [rows, 1], so that W ≈ int8 · scale. Everything else is F32.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save

QUANTIZATION_CONFIG = {
    "quant_method": "apus",
    "format_version": 1,
    "weights": {"dtype": "int8", "symmetric": True, "granularity": "row"},
}
LABEL_PROJECTIONS = ("classifier.weight", "classifier.out_proj.weight")


def quantize(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The checkpoint's tensors from f32 weights: I8 [rows, columns] and F32 [rows, 1] for each matrix."""
    tensors: dict[str, np.ndarray] = {}
    for name, value in state.items():
        value = np.asarray(value, dtype=np.float32)
        if value.ndim != 2 or name in LABEL_PROJECTIONS:
            tensors[name] = value
            continue
        scale = np.abs(value).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        tensors[name] = np.clip(np.rint(value / scale), -127, 127).astype(np.int8)
        tensors[f"{name}_scale"] = scale.astype(np.float32)
    return tensors


def dequantize(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """f32 weights from a checkpoint's tensors."""
    state = {}
    for name, value in tensors.items():
        if value.dtype == np.int8:
            state[name] = value.astype(np.float32) * tensors[f"{name}_scale"]
        elif name.removesuffix("_scale") == name or name.removesuffix("_scale") not in tensors:
            state[name] = value
    return state


def write(directory: Path, tensors: dict[str, np.ndarray], config: dict) -> None:
    """Writes `model.safetensors` and `config.json`, each under a temporary name first."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}, {"format": "pt"})
    config = config | {"quantization_config": QUANTIZATION_CONFIG}
    replace(directory / "model.safetensors", weights)
    replace(directory / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
