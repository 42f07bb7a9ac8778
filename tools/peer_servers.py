#!/usr/bin/env python3
"""The servers that Apus is compared with, as people commonly write them: FastAPI on one Uvicorn worker.

    tools/peer_servers.py transformers FOLDER --threads 2    a text-classification pipeline, PyTorch f32
    tools/peer_servers.py onnxruntime FOLDER --threads 2     ONNX Runtime on dynamically quantized int8, fast tokenizer

FOLDER is what `build` makes. POST /predict takes {"text": "…"} and answers as Apus does. The endpoints are plain
functions, so FastAPI calls them in its pool of threads, up to 40 at once; with --calls one the models are called in turns.
Listens on a free port of 127.0.0.1 and logs its URL.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import peer_models
from classification_data import prepare

MAX_TOKENS = 512


def main() -> int:
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("transformers", "onnxruntime"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", choices=("pool", "one"), default="pool")
    arguments = parser.parse_args()
    open_model = {"transformers": open_transformers, "onnxruntime": open_onnxruntime}[arguments.kind]
    scores = open_model(arguments.folder, arguments.threads)
    uvicorn.run(application(scores, arguments.calls), host="127.0.0.1", port=0)
    return 0


def application(scores: Callable[[str], dict[str, float]], calls: str):
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Body(BaseModel):
        text: str

    app = FastAPI()
    turn = threading.Lock() if calls == "one" else nullcontext()

    def predict(body: Body) -> dict:
        with turn:
            found = scores(prepare(body.text))
        label = max(found, key=found.__getitem__)
        return {"label": label, "score": found[label], "scores": found}

    # The names of the types are local ones, which FastAPI cannot look up.
    predict.__annotations__ = {"body": Body, "return": dict}
    app.post("/predict")(predict)
    return app


# Each opens a model and gives back a function from a text to its labels' probabilities.

def open_transformers(folder: Path, threads: int) -> Callable[[str], dict[str, float]]:
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    classify = pipeline("text-classification", model=str(folder / "model"), device="cpu", top_k=None)

    def scores(text: str) -> dict[str, float]:
        return {entry["label"]: entry["score"] for entry in classify([text], truncation=True, max_length=MAX_TOKENS)[0]}
    return scores


def open_onnxruntime(folder: Path, threads: int) -> Callable[[str], dict[str, float]]:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "int8.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    config = json.loads((folder / "model/config.json").read_text(encoding="utf-8"))
    labels = [config["id2label"][str(number)] for number in range(len(config["id2label"]))]

    def scores(text: str) -> dict[str, float]:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        logits = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        exponentials = np.exp(logits - logits.max())
        return dict(zip(labels, (exponentials / exponentials.sum()).tolist()))
    return scores


def build(folder: Path, source: str) -> None:
    """From an architecture's name (random weights) or an int8 checkpoint, unless that is done: FOLDER/model for
    Transformers, int8.onnx and tokenizer.json for ONNX Runtime, FOLDER/apus, an int8 checkpoint."""
    stamp = json.dumps([peer_models.stamp_of(source, []), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()])
    built = folder / "built.json"
    if built.exists() and built.read_text(encoding="utf-8") == stamp:
        return
    from transformers import AutoTokenizer

    print(f"building {source} for every server in {folder}", file=sys.stderr, flush=True)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if source in peer_models.ARCHITECTURES:
        peer_models.write_random_model(partial / "model", source)
        write_checkpoint(partial / "model", partial / "apus")
    else:
        peer_models.write_dequantized(partial / "model", Path(source))
        shutil.copytree(source, partial / "apus")
    peer_models.export_onnx(partial / "model", partial / "f32.onnx")
    peer_models.quantize_onnx(partial / "f32.onnx", partial / "int8.onnx")
    (partial / "f32.onnx").unlink()
    tokenizer = AutoTokenizer.from_pretrained(partial / "model").backend_tokenizer
    tokenizer.no_padding()
    tokenizer.save(str(partial / "tokenizer.json"))
    (partial / "built.json").write_text(stamp, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def write_checkpoint(model: Path, directory: Path) -> None:
    from safetensors.numpy import load_file

    import int8_checkpoint

    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    int8_checkpoint.write(directory, int8_checkpoint.quantize(load_file(model / "model.safetensors")), config)
    for name in ("vocab.json", "merges.txt", *peer_models.TOKENIZER_FILES):
        if (model / name).exists():
            shutil.copyfile(model / name, directory / name)


if __name__ == "__main__":
    sys.exit(main())
