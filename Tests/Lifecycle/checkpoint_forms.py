"""The forms in which people have one model's weights: each is made of a control's directory, by the real libraries."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file
from transformers import AutoConfig

from checkpoints import State, copy_model, read_state, write_state

Change = Callable[[State], None]


# The files

def zip_file(state: State, directory: Path) -> None:
    torch.save(state, directory / "pytorch_model.bin")


def legacy_file(state: State, directory: Path) -> None:
    """As PyTorch wrote it before 1.6."""
    torch.save(state, directory / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def safetensors_file(state: State, directory: Path) -> None:
    write_state(directory, state)


def safetensors_shards(state: State, directory: Path) -> None:
    save_torch_state_dict(state, directory, max_shard_size="40KB")


def bin_shards(state: State, directory: Path) -> None:
    """As save_pretrained(safe_serialization=False) did."""
    save_torch_state_dict(state, directory, filename_pattern="pytorch_model{suffix}.bin", max_shard_size="40KB",
                          safe_serialization=False)


def legacy_shards(state: State, directory: Path) -> None:
    bin_shards(state, directory)
    for path in directory.glob("pytorch_model-*.bin"):
        torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)


@contextmanager
def storages_of_a_gpu() -> Iterator[None]:
    """What is saved meanwhile says that it was on cuda:0, as most people's files do."""
    from torch.serialization import _package_registry, register_package

    register_package(0, lambda storage: "cuda:0", lambda storage, location: None)  # 0: asked first
    try:
        yield
    finally:
        _package_registry[:] = [entry for entry in _package_registry if entry[0] != 0]


def zip_file_of_a_gpu(state: State, directory: Path) -> None:
    with storages_of_a_gpu():
        zip_file(state, directory)


def legacy_file_of_a_gpu(state: State, directory: Path) -> None:
    with storages_of_a_gpu():
        legacy_file(state, directory)


def as_state_dict(state: State) -> State:
    """A module's own: an OrderedDict with an attribute, _metadata."""
    ordered = torch.nn.Module().state_dict()
    assert isinstance(ordered, OrderedDict) and ordered._metadata
    ordered.update(state)
    return ordered


def ordered_zip_file(state: State, directory: Path) -> None:
    zip_file(as_state_dict(state), directory)


def ordered_legacy_file(state: State, directory: Path) -> None:
    legacy_file(as_state_dict(state), directory)


def bare_safetensors_file(state: State, directory: Path) -> None:
    """Without metadata, as other languages' writers leave it."""
    save_file(state, directory / "model.safetensors")


# The tensors

def transposed(state: State) -> None:
    """Matrices lie column by column, as converters from TensorFlow leave them."""
    for name, tensor in state.items():
        if tensor.ndim == 2:
            state[name] = tensor.T.contiguous().T
    assert any(not tensor.is_contiguous() for tensor in state.values())


def strided(state: State) -> None:
    """Every tensor is every third number of a storage, from its second on."""
    for name, tensor in state.items():
        storage = torch.full((3 * tensor.numel() + 1,), float("nan"), dtype=tensor.dtype)
        view = storage[1::3].view(tensor.shape)
        view.copy_(tensor)
        state[name] = view


def one_storage(state: State) -> None:
    """All tensors are views of one storage, one behind the other, as FSDP keeps them."""
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    offset = 0
    for name, tensor in state.items():
        state[name] = flat[offset:offset + tensor.numel()].view(tensor.shape)
        offset += tensor.numel()


def fused_projections(state: State) -> None:
    """Query, key and value are three thirds of one matrix: of its rows, and of its columns where they lie transposed."""
    for name in [name for name in state if name.endswith("self.query.weight")]:
        names = [name.replace("query", part) for part in ("query", "key", "value")]
        dimension = 0 if ".0." in name else 1
        for part, view in zip(names, torch.cat([state[part] for part in names], dim=dimension).chunk(3, dim=dimension)):
            state[part] = view


def expanded(state: State) -> None:
    """A vector of equal numbers is one number, with a stride of 0."""
    for name, tensor in state.items():
        if name.endswith("LayerNorm.bias"):
            state[name] = tensor[:1].clone().expand(tensor.shape)


def equalized(state: State) -> None:
    """What `expanded` says, written out: its control."""
    expanded(state)
    for name, tensor in state.items():
        state[name] = tensor.contiguous()


def gamma_beta(state: State) -> None:
    for name in [name for name in state if "LayerNorm" in name]:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        state[old] = state.pop(name)


def prefixed(prefix: str) -> Change:
    def change(state: State) -> None:
        for name in list(state):
            state[prefix + name] = state.pop(name)

    return change


def unprefixed(base: str) -> Change:
    """The encoder's tensors as the base class alone names them."""
    def change(state: State) -> None:
        for name in list(state):
            state[name.removeprefix(f"{base}.")] = state.pop(name)

    return change


def parameters(state: State) -> None:
    """As a training loop saves dict(model.named_parameters())."""
    for name, tensor in state.items():
        state[name] = torch.nn.Parameter(tensor)


def typed(dtype: torch.dtype) -> Change:
    def change(state: State) -> None:
        for name, tensor in state.items():
            # In f64 something that f32 must round.
            state[name] = (tensor.double() * (1 + 1e-8)).to(dtype)

    return change


def typed_by_use(state: State) -> None:
    """Matrices in bfloat16, embeddings in float16, norms in f32, biases in f64."""
    for name, tensor in state.items():
        dtype = (torch.float16 if "embeddings.weight" in name else torch.bfloat16 if tensor.ndim == 2
                 else torch.float64 if name.endswith("bias") and "LayerNorm" not in name else torch.float32)
        state[name] = tensor.to(dtype)


def position_ids(state: State) -> None:
    """The buffer that Transformers saved up to 4.30."""
    embeddings = next(name for name in state if "embeddings" in name.split("."))
    state[embeddings.split("embeddings.")[0] + "embeddings.position_ids"] = torch.arange(160).expand((1, -1))


def composed(*changes: Change) -> Change:
    def change(state: State) -> None:
        for step in changes:
            step(state)

    return change


@dataclass(frozen=True)
class Form:
    write: Callable[[State, Path], None] = safetensors_file
    change: Change = lambda state: None
    settings: dict[str, Any] = field(default_factory=dict)
    control: Change | None = None  # what the weights are where they are not the control's own

    def make(self, control: Path, directory: Path) -> Path:
        copy_model(control, directory, settings=self.settings)
        self._write(directory, self.change)
        return directory

    def make_control(self, control: Path, directory: Path) -> Path:
        """The same weights in one safetensors file of f32."""
        copy_model(control, directory)
        self._write(directory, self.control or (lambda state: None), plain=True)
        return directory

    def _write(self, directory: Path, change: Change, plain: bool = False) -> None:
        state = read_state(directory)
        (directory / "model.safetensors").unlink()
        change(state)
        (safetensors_file if plain else self.write)(
            {name: tensor.float() for name, tensor in state.items()} if plain else state, directory)


F16, BF16, F64 = map(typed, (torch.float16, torch.bfloat16, torch.float64))

FORMS: dict[str, Form] = {
    "safetensors-shards": Form(safetensors_shards),
    "bin-shards": Form(bin_shards),
    "legacy-shards": Form(legacy_shards),
    "zip": Form(zip_file),
    "legacy": Form(legacy_file),
    "zip-of-a-gpu": Form(zip_file_of_a_gpu),
    "legacy-of-a-gpu": Form(legacy_file_of_a_gpu),
    "zip-ordered": Form(ordered_zip_file),
    "legacy-ordered": Form(ordered_legacy_file),
    "safetensors-without-metadata": Form(bare_safetensors_file),
    "zip-transposed": Form(zip_file, transposed),
    "legacy-transposed": Form(legacy_file, transposed),
    "zip-strided": Form(zip_file, strided),
    "legacy-strided": Form(legacy_file, strided),
    "zip-one-storage": Form(zip_file, one_storage),
    "legacy-one-storage": Form(legacy_file, one_storage),
    "zip-fused": Form(zip_file, fused_projections),
    "legacy-fused": Form(legacy_file, fused_projections),
    "zip-expanded": Form(zip_file, expanded, control=equalized),
    "zip-parameters": Form(zip_file, parameters),
    "legacy-parameters": Form(legacy_file, parameters),
    "gamma-beta": Form(change=gamma_beta),
    "legacy-gamma-beta": Form(legacy_file, gamma_beta),
    "prefix-module": Form(change=prefixed("module.")),
    "prefix-model": Form(change=prefixed("model.")),
    "prefix-none": Form(change=composed(unprefixed("bert"), unprefixed("roberta"))),
    "prefix-module-zip": Form(zip_file, prefixed("module.")),
    "prefix-module-gamma-beta": Form(legacy_file, composed(gamma_beta, position_ids, prefixed("module."))),
    "f16": Form(change=F16, control=F16),
    "bf16": Form(change=BF16, control=BF16),
    "f64": Form(change=F64, control=F64),
    "f16-legacy": Form(legacy_file, F16, control=F16),
    "bf16-legacy": Form(legacy_file, BF16, control=BF16),
    "bf16-zip": Form(zip_file, BF16, control=BF16),
    "f64-zip": Form(zip_file, F64, control=F64),
    "f64-legacy-transposed": Form(legacy_file, composed(F64, transposed), control=F64),
    "types-by-use": Form(change=typed_by_use, control=typed_by_use),
    "types-by-use-shards": Form(bin_shards, typed_by_use, control=typed_by_use),
    "position-ids": Form(change=position_ids),
    "no-architectures": Form(settings={"architectures": None}),
    "empty-architectures": Form(settings={"architectures": []}),
    "base-architecture": Form(settings={"architectures": ["RobertaModel"]}),
}
# What names a class fits one control.
ONLY_OF = {"base-architecture": "roberta"}


def pretraining_tensors(directory: Path, kind: type, **settings: Any) -> State:
    """Those of the real model for pretraining that the classifier has not."""
    state = kind.from_config(AutoConfig.from_pretrained(directory, **settings)).state_dict()
    classifier = read_state(directory)
    return {name: tensor.clone() for name, tensor in state.items() if name not in classifier}


def without_defaults(directory: Path) -> dict[str, Any]:
    """config.json, less every setting that the configuration's class has by itself; returns what it had."""
    path = directory / "config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    defaults = type(AutoConfig.from_pretrained(directory))().to_dict()
    kept = {name: value for name, value in settings.items()
            if name in ("model_type", "architectures") or name not in defaults or value != as_json(defaults[name])}
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    return settings


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def edit_config(directory: Path, **settings: Any) -> None:
    """Sets these; one that is `...` is taken out."""
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | settings
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}), encoding="utf-8")
