"""The int8 checkpoint: symmetric, one scale a row (an output channel, or an embedding), as `apus quantize` writes it.

Every matrix W [rows, columns] but the last projection onto the labels and small tables is stored as I8, beside it
`<name>_scale`, F32 [rows, 1], so that W ≈ int8 · scale. Everything else is F32. That is the format of the library
compressed-tensors; what Apus wrote first has the same tensors and says another thing in config.json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save

FIRST_FORMAT = {
    "quant_method": "apus",
    "format_version": 1,
    "weights": {"dtype": "int8", "symmetric": True, "granularity": "row"},
}
LABEL_PROJECTIONS = ("classifier.weight", "classifier.out_proj.weight")
SMALL_TABLES = ("relative_attention_bias.weight", "rel_embeddings.weight", "token_type_embeddings.weight")  # what names end with


def quantization_config(tensors: dict[str, np.ndarray]) -> dict:
    """What config.json says of them."""
    weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
    inputs = {"num_bits": 8, "type": "int", "symmetric": False, "strategy": "token", "dynamic": True}
    return {
        "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed",
        "config_groups": {
            "linear": {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "format": "int-quantized"},
            "embedding": {"targets": ["Embedding"], "weights": weights, "format": "int-quantized"},
        },
        "ignore": sorted(name.removesuffix(".weight") for name, value in tensors.items()
                         if value.ndim == 2 and value.dtype != np.int8 and not name.endswith("_scale")),
    }


def quantize(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The checkpoint's tensors from f32 weights: I8 [rows, columns] and F32 [rows, 1] for each matrix."""
    tensors: dict[str, np.ndarray] = {}
    for name, value in state.items():
        value = np.asarray(value, dtype=np.float32)
        if value.ndim != 2 or name in LABEL_PROJECTIONS or name.endswith(SMALL_TABLES):
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


def is_one(config: dict) -> bool:
    """Whether a model is in either form, by its config.json."""
    quantization = config.get("quantization_config") or {}
    return quantization == FIRST_FORMAT or (
        quantization.get("quant_method") == "compressed-tensors" and quantization.get("format") == "int-quantized")


def settings(config: dict, tensors: dict[str, np.ndarray]) -> dict:
    """config.json of the int8 form: what is not int8 is F32."""
    types = {name: "float32" for name in ("dtype", "torch_dtype") if config.get(name)}
    return config | types | {"quantization_config": quantization_config(tensors)}


def write(directory: Path, tensors: dict[str, np.ndarray], config: dict, first_format: bool = False) -> None:
    """Writes `model.safetensors` and `config.json`, each under a temporary name first."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}, {"format": "pt"})
    config = config | {"quantization_config": FIRST_FORMAT} if first_format else settings(config, tensors)
    replace(directory / "model.safetensors", weights)
    replace(directory / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
