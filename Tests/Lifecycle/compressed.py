"""Checkpoints that the library compressed-tensors writes, in the way llm-compressor has it do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from compressed_tensors.quantization.utils import calculate_qparams
from transformers import AutoModelForSequenceClassification

WEIGHTS = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
TOKENS = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}


def group(targets: list[str] = ["Linear"], weights: dict[str, Any] = {}, **more: Any) -> dict[str, Any]:
    return {"targets": targets, "weights": WEIGHTS | weights, "input_activations": TOKENS} | more


@torch.no_grad()
def compress(
    source: Path, directory: Path, groups: dict[str, Any], ignore: list[str], dtype: torch.dtype = torch.float32,
    quantization_format: str | None = None
) -> Path:
    """Scales as the library computes them from each matrix' least and largest number."""
    model = AutoModelForSequenceClassification.from_pretrained(source, dtype=dtype)
    apply_quantization_config(model, QuantizationConfig(config_groups=groups, ignore=ignore), show_progress=False)
    for module in model.modules():
        if not hasattr(module, "weight_scale"):
            continue
        arguments = module.quantization_scheme.weights
        weight = module.weight
        if arguments.strategy == "group":
            weight = weight.unflatten(-1, (-1, arguments.group_size))
        dimension = None if arguments.strategy == "tensor" else -1
        least, most = ((weight.min(), weight.max()) if dimension is None else
                       (weight.amin(dimension, keepdim=arguments.strategy != "group"),
                        weight.amax(dimension, keepdim=arguments.strategy != "group")))
        scale, zero = calculate_qparams(least, most, arguments)
        module.weight_scale.data = scale.to(module.weight_scale.dtype)
        if hasattr(module, "weight_zero_point"):
            module.weight_zero_point.data = zero
    compressor = ModelCompressor.from_pretrained_model(model, quantization_format)
    compressor.compress_model(model)
    model.save_pretrained(directory)
    compressor.update_config(str(directory))
    for file in source.iterdir():
        if file.name.startswith("tokenizer"):
            shutil.copyfile(file, directory / file.name)
    assert json.loads((directory / "config.json").read_text())["quantization_config"]["quant_method"] == "compressed-tensors"
    return directory
