"""Model directories made from those in Tests/EngineTests/Fixtures/models, and what their int8 form must be."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import load_file, save_file

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tools"))

import int8_checkpoint  # noqa: E402

MODELS = REPOSITORY / "Tests/EngineTests/Fixtures/models"
State = dict[str, torch.Tensor]


def read_state(directory: Path) -> State:
    if (directory / "model.safetensors").exists():
        return load_file(directory / "model.safetensors")
    return torch.load(directory / "pytorch_model.bin", weights_only=True)


def write_state(directory: Path, state: State, file: str = "model.safetensors") -> None:
    """Leaves this one file of weights in the directory."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        (directory / name).unlink(missing_ok=True)
    if file == "pytorch_model.bin":
        torch.save(state, directory / file)
    else:
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, directory / file, {"format": "pt"})


def copy_model(
    source: Path | str, directory: Path, change: Callable[[State], None] | None = None,
    settings: dict[str, Any] | None = None, file: str = "model.safetensors"
) -> Path:
    """The model's files in `directory`, its weights changed in place and its settings added to."""
    source = MODELS / source
    directory.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "reference.json":
            shutil.copyfile(path, directory / path.name)
    state = read_state(source)
    if change:
        change(state)
    write_state(directory, state, file)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8")) | (settings or {})
    (directory / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return directory


def labels_of(directory: Path) -> list[str]:
    names = json.loads((directory / "config.json").read_text(encoding="utf-8"))["id2label"]
    return [names[str(index)] for index in range(len(names))]


def is_unread(tensor: str) -> bool:
    """Whether no classifier reads it, so that it may stay behind: buffers, and the pooler of a RoBERTa."""
    return tensor.startswith("roberta.pooler.") or tensor.endswith(".position_ids")


def int8_file(directory: Path) -> bytes:
    """model.safetensors of the int8 form, by tools/int8_checkpoint.py and the safetensors package."""
    state = {name: tensor.float().numpy() for name, tensor in read_state(directory).items() if not is_unread(name)}
    tensors = int8_checkpoint.quantize(state)
    return save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}, {"format": "pt"})
