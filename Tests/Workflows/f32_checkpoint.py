"""The shipped int8 model as an f32 one, as it would stand on the Hub before it is quantized."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).resolve().parents[2] / "Sources/Engine/Resources/Model"
COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
TYPES = {"I8": np.int8, "F32": np.float32}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(content[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]], TYPES[entry["dtype"]])
            .reshape(entry["shape"]) for name, entry in header.items()}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """All in f32."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        content = np.ascontiguousarray(tensor, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)


def write_f32_model(directory: Path, survives_int8: bool = True) -> Path:
    """With `survives_int8` false, a model that f32 does well by and int8 ruins: in each layer an input of the first product is
    always zero, and has such large weights that nothing else is left of an int8 row."""
    directory.mkdir(parents=True)
    for name in COPIED:
        shutil.copyfile(SHIPPED / name, directory / name)
    config = json.loads((SHIPPED / "config.json").read_text())
    del config["quantization_config"]
    (directory / "config.json").write_text(json.dumps(config))
    stored = read_safetensors(SHIPPED / "model.safetensors")
    tensors = {name: tensor.astype(np.float32) * stored.get(name + "_scale", np.float32(1))
               for name, tensor in stored.items() if not name.endswith("_scale")}
    if not survives_int8:
        for layer in range(config["num_hidden_layers"]):
            place = f"bert.encoder.layer.{layer}"
            for part in ("weight", "bias"):
                norm = tensors[f"{place}.attention.output.LayerNorm.{part}"] = tensors[f"{place}.attention.output.LayerNorm.{part}"].copy()
                norm[7] = 0
            tensors[f"{place}.intermediate.dense.weight"][:, 7] = 1000
    write_safetensors(directory / "model.safetensors", tensors)
    return directory
