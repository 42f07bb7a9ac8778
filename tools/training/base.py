"""The model that training begins with: a directory, or a Hub id. Checked here, before hours of training, for what Apus
needs to serve the result."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import int8_checkpoint
from classification_data import InputError

MODEL_TYPES = {"roberta": "RobertaForSequenceClassification", "bert": "BertForSequenceClassification"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
VOCABULARIES = {"roberta": ("vocab.json", "merges.txt"), "bert": ("vocab.txt",)}  # where there is no tokenizer.json
TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
TOKENIZER_FILES = ("tokenizer.json", *VOCABULARIES["roberta"], *VOCABULARIES["bert"], *TOKENIZER_SETTINGS,
                   "added_tokens.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)


def resolve(name: str, revision: str | None) -> Path:
    """The directory of a base model; one of the Hub is fetched into Hugging Face's cache."""
    directory = Path(name)
    if directory.is_dir():
        if revision is not None:
            raise InputError(f"{name}: is a directory; --revision is for a model of the Hub")
        return directory
    if directory.exists() or not HUB_ID.fullmatch(name):
        raise InputError(f"{name}: is neither a directory nor a Hub id. Give --base a directory with config.json, weights "
                         "and tokenizer, or an id such as sentence-transformers/all-MiniLM-L6-v2")
    return fetch(name, revision)


def fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    def file(path: str) -> Path | None:
        try:
            return Path(hf_hub_download(name, path, revision=revision))
        except LocalEntryNotFoundError:
            if not constants.HF_HUB_OFFLINE:
                raise
            return None
        except EntryNotFoundError:
            return None

    try:
        config = file("config.json")
        if config is None:
            raise InputError(f"{name}: has no config.json, so it is no model of Transformers' (Hub: {constants.ENDPOINT})")
        for path in TOKENIZER_FILES:
            file(path)
        if not any(file(path) for path in WEIGHTS):
            raise InputError(f"{name}: has no weights on the Hub ({constants.ENDPOINT}): neither {' nor '.join(WEIGHTS)}")
    except (HfHubHTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{name}: is not a directory here, and the Hub ({constants.ENDPOINT}) did not give it. Check the id, "
                         f"HF_TOKEN if it is private, and HF_ENDPOINT. The error: {reason}") from None
    return config.parent


def read_config(directory: Path) -> dict:
    path = directory / "config.json"
    if not path.exists():
        raise InputError(f"{directory}: has no config.json, so it is not a model directory")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}. Fetch the model anew") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: is not a JSON object. Fetch the model anew")
    return config


def check_teacher(directory: Path, labels: list[str]) -> None:
    """Refuses a teacher of other labels; their order may differ."""
    names = read_config(directory).get("id2label")
    found = [str(name) for name in names.values()] if isinstance(names, dict) else []
    if sorted(found) != sorted(labels):
        raise InputError(f"{directory}: a teacher's labels must be the data set's, {', '.join(labels)}; its are "
                         f"{', '.join(found) or 'not named'}. Where only the names differ, mend id2label in its config.json")


def check(directory: Path) -> None:
    """Refuses what Apus would not serve after the training."""
    path = directory / "config.json"
    config = read_config(directory)
    model_type = config.get("model_type")
    if model_type not in MODEL_TYPES:
        raise InputError(f"{path}: model_type {model_type} is not supported; supported are {' and '.join(MODEL_TYPES)}, "
                         "which Apus serves")
    if config.get("quantization_config") and not int8_checkpoint.is_one(config):
        raise InputError(f"{path}: the weights are quantized, and not by `apus quantize`; train from the model before that")
    for name, allowed in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"), ("is_decoder", False)):
        if config.get(name, allowed) != allowed:
            raise InputError(f"{path}: {name} {json.dumps(config[name])} is not supported; Apus serves "
                             f"{json.dumps(allowed)}")
    if not any((directory / name).exists() for name in WEIGHTS):
        raise InputError(f"{directory}: has no weights: neither {' nor '.join(WEIGHTS)}")
    if (directory / "tokenizer.json").exists():
        check_tokenizer(directory / "tokenizer.json")
    else:
        missing = [name for name in VOCABULARIES[model_type] if not (directory / name).exists()]
        if missing:
            raise InputError(f"{directory}: has no tokenizer: neither tokenizer.json nor {' and '.join(missing)}")
        if (directory / "added_tokens.json").exists():
            raise InputError(f"{directory}/added_tokens.json: is not supported without tokenizer.json; load and save the "
                             "tokenizer with a current Transformers, which writes it")


def in_f32(directory: Path, output: Path) -> Path:
    """The directory; of a model in int8 a copy of it in f32, with the values that the int8 stands for."""
    config = read_config(directory)
    if not int8_checkpoint.is_one(config):
        return directory
    if not (directory / "model.safetensors").exists():
        raise InputError(f"{directory}: has no model.safetensors, where `apus quantize` writes the weights")
    try:
        state = int8_checkpoint.dequantize(load_file(directory / "model.safetensors"))
    except (SafetensorError, KeyError) as error:
        raise InputError(f"{directory / 'model.safetensors'}: cannot be read: {error}. Quantize the model anew") from None
    output.mkdir(parents=True, exist_ok=True)
    for name in tokenizer_files(directory):
        shutil.copyfile(directory / name, output / name)
    save_file(state, output / "model.safetensors", {"format": "pt"})
    del config["quantization_config"]
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return output


def check_tokenizer(path: Path) -> None:
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        kind = model.get("type") or ("BPE" if "merges" in model else "WordPiece")
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {error}. Fetch the model anew") from None
    if kind not in ("BPE", "WordPiece"):
        raise InputError(f"{path}: model {kind} is not supported; Apus serves BPE and WordPiece")


def digest(directory: Path) -> str:
    """SHA-256 of what training reads of it."""
    weights = next(name for name in WEIGHTS if (directory / name).exists())
    total = hashlib.sha256()
    for name in ("config.json", weights, *tokenizer_files(directory)):
        total.update(f"{name} {hashlib.sha256((directory / name).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def tokenizer_files(directory: Path) -> list[str]:
    """Those that make up its tokenizer."""
    has_json = (directory / "tokenizer.json").exists()
    vocabulary = ("tokenizer.json",) if has_json else (*VOCABULARIES["roberta"], *VOCABULARIES["bert"])
    return [name for name in (*vocabulary, *TOKENIZER_SETTINGS) if (directory / name).exists()]
