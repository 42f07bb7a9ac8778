"""Checkpoints that must be refused, each with the words that the error has to say: made of a control's directory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

from checkpoint_forms import bin_shards, edit_config, safetensors_shards
from checkpoints import read_state, write_state

# Changes the directory, and returns what the error must say.
Break = Callable[[Path], list[str]]

SAFETENSORS_INDEX = "model.safetensors.index.json"
BIN_INDEX = "pytorch_model.bin.index.json"


def shard(directory: Path, index: str = SAFETENSORS_INDEX) -> dict:
    """Replaces the one file by shards, and returns the index."""
    state = read_state(directory)
    (directory / "model.safetensors").unlink()
    (safetensors_shards if index == SAFETENSORS_INDEX else bin_shards)(state, directory)
    return json.loads((directory / index).read_text(encoding="utf-8"))


def write_index(directory: Path, index: dict, name: str = SAFETENSORS_INDEX) -> None:
    (directory / name).write_text(json.dumps(index), encoding="utf-8")


def missing_shard(directory: Path) -> list[str]:
    name = sorted(set(shard(directory)["weight_map"].values()))[1]
    (directory / name).unlink()
    return [name]


def missing_bin_shard(directory: Path) -> list[str]:
    name = sorted(set(shard(directory, BIN_INDEX)["weight_map"].values()))[-1]
    (directory / name).unlink()
    return [name]


def shard_outside(path: str, index: str = SAFETENSORS_INDEX) -> Break:
    """The index names another file, which is there and whole."""

    def change(directory: Path) -> list[str]:
        read = shard(directory, index)
        moved = sorted(set(read["weight_map"].values()))[0]
        outside = directory.parent / "outside" / moved
        outside.parent.mkdir(exist_ok=True)
        shutil.move(directory / moved, outside)
        (directory / "inside").mkdir()
        name = path.format(moved=moved, outside=outside)
        read["weight_map"] = {tensor: name if file == moved else file for tensor, file in read["weight_map"].items()}
        write_index(directory, read, index)
        return [index]

    return change


def tensor_in_two_shards(directory: Path) -> list[str]:
    """Each shard is whole; Transformers would take whichever comes last."""
    weights = shard(directory)["weight_map"]
    name, first = next(iter(weights.items()))
    second = next(file for file in weights.values() if file != first)
    tensors = load_file(directory / second) | {name: load_file(directory / first)[name] * 2}
    save_file(tensors, directory / second, {"format": "pt"})
    return [name]


def tensor_in_another_shard(directory: Path) -> list[str]:
    index = shard(directory)
    name, first = next(iter(index["weight_map"].items()))
    tensors = load_file(directory / first)
    del tensors[name]
    save_file(tensors, directory / first, {"format": "pt"})
    return [name]


def index_without_weights(directory: Path) -> list[str]:
    shard(directory)
    write_index(directory, {"metadata": {"total_size": 1}})
    return [SAFETENSORS_INDEX, "weight_map"]


def index_of_numbers(directory: Path) -> list[str]:
    index = shard(directory)
    write_index(directory, {"weight_map": {name: 1 for name in index["weight_map"]}})
    return [SAFETENSORS_INDEX]


def index_cut_short(directory: Path) -> list[str]:
    shard(directory)
    path = directory / SAFETENSORS_INDEX
    path.write_bytes(path.read_bytes()[:200])
    return [SAFETENSORS_INDEX]


def shard_cut_short(directory: Path) -> list[str]:
    name = sorted(set(shard(directory)["weight_map"].values()))[0]
    (directory / name).write_bytes((directory / name).read_bytes()[:-8])
    return [name]


def lfs_pointer(path: Path) -> str:
    """What `git clone` without Git LFS leaves of a large file."""
    content = path.read_bytes()
    path.write_text("version https://git-lfs.github.com/spec/v1\n"
                    f"oid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n", encoding="utf-8")
    return path.name


def lfs_safetensors(directory: Path) -> list[str]:
    return ["Git LFS", lfs_pointer(directory / "model.safetensors")]


def lfs_bin(directory: Path) -> list[str]:
    write_state(directory, read_state(directory), "pytorch_model.bin")
    return ["Git LFS", lfs_pointer(directory / "pytorch_model.bin")]


def lfs_shard(directory: Path) -> list[str]:
    name = sorted(set(shard(directory)["weight_map"].values()))[1]
    return ["Git LFS", lfs_pointer(directory / name)]


def unknown_tensor(name: str) -> Break:
    """A tensor of no head that Transformers knows: the file is another model's."""

    def change(directory: Path) -> list[str]:
        write_state(directory, read_state(directory) | {name: torch.ones(4)})
        return [name]

    return change


def layer_too_many(directory: Path) -> list[str]:
    edit_config(directory, num_hidden_layers=1)
    return ["layer.1."]


def layer_too_few(directory: Path) -> list[str]:
    edit_config(directory, num_hidden_layers=3)
    return ["layer.2."]


def norm_twice(directory: Path) -> list[str]:
    """LayerNorm.weight and LayerNorm.gamma of the same norm, and not the same numbers."""
    state = read_state(directory)
    name = next(name for name in state if name.endswith("embeddings.LayerNorm.weight"))
    old = name.replace("weight", "gamma")
    write_state(directory, state | {old: state[name] * 2})
    return ["embeddings.LayerNorm."]


def prefix_twice(directory: Path) -> list[str]:
    state = read_state(directory)
    name = next(name for name in state if name.endswith("word_embeddings.weight"))
    write_state(directory, state | {f"module.{name}": state[name] * 2})
    return ["word_embeddings.weight"]


def without_classifier(directory: Path) -> list[str]:
    """What AutoModelForMaskedLM saves: Transformers would make up a classifier's weights and say so."""
    model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(directory))
    (directory / "model.safetensors").unlink()
    model.save_pretrained(directory)
    return ["classifier"]


def unknown_architecture(directory: Path) -> list[str]:
    edit_config(directory, architectures=["FunnelForSequenceClassification"], model_type="funnel")
    return ["config.json", "FunnelForSequenceClassification"]


def unknown_type_alone(directory: Path) -> list[str]:
    edit_config(directory, architectures=..., model_type="funnel")
    return ["config.json", "funnel"]


def neither_type_nor_architecture(directory: Path) -> list[str]:
    edit_config(directory, architectures=..., model_type=...)
    return ["config.json", "model_type"]


def setting(name: str, value: object) -> Break:
    def change(directory: Path) -> list[str]:
        edit_config(directory, **{name: value})
        return ["config.json", name]

    return change


def label_too_many(directory: Path) -> list[str]:
    edit_config(directory, id2label={str(number): f"label {number}" for number in range(4)})
    return ["classifier", "id2label"]


def old_rope_base(directory: Path) -> list[str]:
    """As Transformers wrote it before 5."""
    edit_config(directory, rope_parameters=..., global_rope_theta=0)
    return ["config.json", "global_rope_theta"]


BROKEN: dict[str, Break] = {
    "shard-missing": missing_shard,
    "bin-shard-missing": missing_bin_shard,
    "shard-above": shard_outside("../outside/{moved}"),
    "bin-shard-above": shard_outside("../outside/{moved}", BIN_INDEX),
    "shard-above-by-a-detour": shard_outside("inside/../../outside/{moved}"),
    "shard-by-an-absolute-path": shard_outside("{outside}"),
    "tensor-in-two-shards": tensor_in_two_shards,
    "tensor-not-in-its-shard": tensor_in_another_shard,
    "index-without-weights": index_without_weights,
    "index-of-numbers": index_of_numbers,
    "index-cut-short": index_cut_short,
    "shard-cut-short": shard_cut_short,
    "lfs-safetensors": lfs_safetensors,
    "lfs-bin": lfs_bin,
    "lfs-shard": lfs_shard,
    "unknown-tensor": unknown_tensor("adapter.down.weight"),
    "unknown-tensor-of-the-encoder": unknown_tensor("bert.encoder.layer.0.attention.self.extra.weight"),
    "unknown-tensor-of-the-head": unknown_tensor("classifier.extra.weight"),
    "layer-too-many": layer_too_many,
    "layer-too-few": layer_too_few,
    "norm-twice": norm_twice,
    "prefix-twice": prefix_twice,
    "classifier-missing": without_classifier,
    "architecture-unknown": unknown_architecture,
    "type-unknown": unknown_type_alone,
    "type-and-architecture-missing": neither_type_nor_architecture,
    "hidden-2-62": setting("hidden_size", 2 ** 62),
    "hidden-2-64": setting("hidden_size", 2 ** 64),
    "hidden-text": setting("hidden_size", "48"),
    "hidden-fraction": setting("hidden_size", 48.5),
    "hidden-0": setting("hidden_size", 0),
    "hidden-negative": setting("hidden_size", -48),
    "hidden-list": setting("hidden_size", [48]),
    "hidden-true": setting("hidden_size", True),
    "layers-10-9": setting("num_hidden_layers", 10 ** 9),
    "intermediate-2-62": setting("intermediate_size", 2 ** 62),
    "vocabulary-2-62": setting("vocab_size", 2 ** 62),
    "positions-2-62": setting("max_position_embeddings", 2 ** 62),
    "heads-5": setting("num_attention_heads", 5),
    "heads-0": setting("num_attention_heads", 0),
    "epsilon-text": setting("layer_norm_eps", "1e-12"),
    "epsilon-negative": setting("layer_norm_eps", -1e-12),
    "activation-unknown": setting("hidden_act", "mish"),
    "activation-number": setting("hidden_act", 1),
    "positions-relative": setting("position_embedding_type", "relative_key"),
    "decoder": setting("is_decoder", True),
    "labels-list": setting("id2label", ["anger", "joy", "sadness"]),
    "labels-with-a-gap": setting("id2label", {"0": "anger", "1": "joy", "3": "sadness"}),
    "labels-not-numbered": setting("id2label", {"a": "anger", "b": "joy", "c": "sadness"}),
    "labels-of-lists": setting("id2label", {"0": ["anger"], "1": ["joy"], "2": ["sadness"]}),
    "label-too-many": label_too_many,
    "problem-unknown": setting("problem_type", "token_classification"),
    "problem-number": setting("problem_type", 1),
}

# Settings of the other architectures whose values no model can have, or that nobody has built: (control, break).
BROKEN_OF: dict[str, tuple[str, Break]] = {
    "modernbert-window-0": ("modernbert", setting("local_attention", 0)),
    "modernbert-window-negative": ("modernbert", setting("local_attention", -16)),
    "modernbert-window-2-62": ("modernbert", setting("local_attention", 2 ** 62)),
    "modernbert-pooling-unknown": ("modernbert", setting("classifier_pooling", "max")),
    "modernbert-layer-type-unknown": ("modernbert", setting("layer_types", ["full_attention", "chunked", "full_attention"])),
    "modernbert-layer-types-too-few": ("modernbert", setting("layer_types", ["full_attention"])),
    "modernbert-rope-base-0": ("modernbert", setting("rope_parameters", {
        "full_attention": {"rope_type": "default", "rope_theta": 0}, "sliding_attention": {"rope_theta": 1e4}})),
    "modernbert-old-rope-base-0": ("modernbert", old_rope_base),
    "modernbert-rope-yarn": ("modernbert", setting("rope_parameters", {
        "full_attention": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 16e4},
        "sliding_attention": {"rope_theta": 1e4}})),
    "deberta-convolution": ("deberta", setting("conv_kernel_size", 3)),
    "deberta-buckets-2-62": ("deberta", setting("position_buckets", 2 ** 62)),
    "deberta-attention-number": ("deberta", setting("pos_att_type", 2)),
    "albert-groups-0": ("albert", setting("num_hidden_groups", 0)),
    "albert-groups-2-62": ("albert", setting("num_hidden_groups", 2 ** 62)),
    "albert-inner-groups-0": ("albert", setting("inner_group_num", 0)),
    "electra-embedding-2-62": ("electra", setting("embedding_size", 2 ** 62)),
    "mpnet-buckets-0": ("mpnet", setting("relative_attention_num_buckets", 0)),
    "mpnet-buckets-2-62": ("mpnet", setting("relative_attention_num_buckets", 2 ** 62)),
    "distilbert-dim-2-62": ("distilbert", setting("dim", 2 ** 62)),
    "distilbert-activation-unknown": ("distilbert", setting("activation", "mish")),
}
