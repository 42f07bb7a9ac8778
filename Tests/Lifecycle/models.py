"""The models that the fake Hub gives away: a real small one, one of RoBERTa-base's shape, and one that is only bytes."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
from huggingface_hub import save_torch_state_dict

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = REPOSITORY / "Tests/EngineTests/Fixtures/models/roberta-tiny"

# All that the Hub's cardiffnlp/twitter-roberta-base-sentiment-latest has for PyTorch.
ROBERTA_FILES = {"pytorch_model.bin", "vocab.json", "merges.txt", "special_tokens_map.json", "config.json"}

# What a repository on the Hub has besides, and a model does not need.
UNNEEDED: dict[str, bytes] = {
    ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"# A model\n",
    "training_args.bin": b"a pickle of what only its author needs",
    "tf_model.h5": b"TensorFlow's weights",
    "flax_model.msgpack": b"Flax's weights",
    "onnx/model.onnx": b"ONNX Runtime's weights",
    "onnx/config.json": b"{}",
    "runs/Sep01/events.out.tfevents.1": b"a training's log",
    "vocab.json.bak": b"{}",
}

LABELS = ["negative", "neutral", "positive"]
# As the Hub has it, fields of old libraries included.
ROBERTA_CONFIG = {
    "_name_or_path": "/somebody/elses/disk/twitter-roberta-base-sentiment-latest/",
    "architectures": ["RobertaForSequenceClassification"],
    "attention_probs_dropout_prob": 0.1,
    "bos_token_id": 0,
    "classifier_dropout": None,
    "eos_token_id": 2,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "id2label": {str(index): label for index, label in enumerate(LABELS)},
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "label2id": {label: index for index, label in enumerate(LABELS)},
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "roberta",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "position_embedding_type": "absolute",
    "torch_dtype": "float32",
    "transformers_version": "4.13.0.dev0",
    "type_vocab_size": 1,
    "use_cache": True,
    "vocab_size": 50265,
}
ROBERTA_SPECIAL_TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": {"content": "<mask>", "single_word": False, "lstrip": True, "rstrip": False, "normalized": False},
}


def tiny_model() -> dict[str, bytes]:
    """A RoBERTa that loads and predicts in milliseconds: f32, model.safetensors of 333 kB."""
    names = ["config.json", "merges.txt", "model.safetensors", "special_tokens_map.json", "vocab.json"]
    return {name: (TINY / name).read_bytes() for name in names}


def sharded(kind: str) -> dict[str, bytes]:
    """The same with its weights in two shards and their index, as huggingface_hub writes them: safetensors or bin."""
    files = tiny_model()
    weights = files.pop("model.safetensors")
    state = safetensors.torch.load(weights)
    pattern = "model{suffix}.safetensors" if kind == "safetensors" else "pytorch_model{suffix}.bin"
    with TemporaryDirectory() as folder:
        save_torch_state_dict(state, folder, filename_pattern=pattern, max_shard_size=len(weights) * 2 // 3,
                              safe_serialization=kind == "safetensors")
        return files | {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def heavy_model(megabytes: int = 6) -> dict[str, bytes]:
    """The small model's files, but weights that no program could load, and of a size that does not fit into buffers."""
    files = tiny_model()
    del files["model.safetensors"]
    return files | {"pytorch_model.bin": random.Random(1).randbytes(megabytes << 20)}


def prepared(text: str) -> str:
    """As the model card of twitter-roberta-base-sentiment-latest prepares a tweet."""
    words = ["@user" if word.startswith("@") and len(word) > 1 else "http" if word.startswith("http") else word
             for word in text.split(" ")]
    return " ".join(words)


def roberta_base(directory: Path, tokenizer: Path) -> Path:
    """RoBERTa-base with seeded random weights and exactly the files that the Hub has, made once and kept."""
    if directory.is_dir():
        return directory
    unfinished = directory.with_name(directory.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(tokenizer / name, unfinished / name)
    (unfinished / "config.json").write_text(json.dumps(ROBERTA_CONFIG, indent=2) + "\n", encoding="utf-8")
    (unfinished / "special_tokens_map.json").write_text(json.dumps(ROBERTA_SPECIAL_TOKENS), encoding="utf-8")
    _write_roberta_weights(unfinished)
    unfinished.rename(directory)
    return directory


def _write_roberta_weights(directory: Path) -> None:
    """The state dict as Transformers wrote it in those days: with the unused pooler, and the positions as a buffer."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    torch.manual_seed(20)
    model = RobertaForSequenceClassification(RobertaConfig.from_pretrained(directory)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter.normal_(1, 0.1)
            elif parameter.ndim == 1:
                parameter.normal_(0, 0.05)
            elif name.startswith("classifier"):
                parameter.normal_(0, 0.08)  # so that the logits of different texts are far apart
            else:
                parameter.normal_(0, 0.04)
        state = model.state_dict()
        state["roberta.embeddings.position_ids"] = torch.arange(514).expand((1, -1))
        state["roberta.pooler.dense.weight"] = torch.randn(768, 768) * 0.02
        state["roberta.pooler.dense.bias"] = torch.zeros(768)
    torch.save(state, directory / "pytorch_model.bin")
