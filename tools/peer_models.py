"""The models that the peers of Apus run: one set of weights as a Hugging Face directory, ONNX, and OpenVINO's int8.

    FOLDER/model/             what Transformers and `apus` load
    FOLDER/plain.onnx         PyTorch's export, as it is; OpenVINO reads this one too
    FOLDER/fused.onnx         after onnxruntime.transformers' optimizer (attention and embeddings as one operator each)
    FOLDER/*-int8.onnx        both after ONNX Runtime's dynamic quantization
    FOLDER/openvino-int8.xml  after NNCF's post-training quantization
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from pathlib import Path

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "openvino", "nncf")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
ARCHITECTURES = {
    "roberta-base": {"vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                     "intermediate_size": 3072, "max_position_embeddings": 514},
    "minilm-l6": {"vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                  "intermediate_size": 1536, "max_position_embeddings": 512},
}


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def is_built(folder: Path, source: str, calibration: list[list[int]]) -> bool:
    """False also for what another version of a package, or of this file, made."""
    stamp = folder / "built.json"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == stamp_of(source, calibration)


def stamp_of(source: str, calibration: list[list[int]]) -> str:
    weights = Path(source) / "model.safetensors"
    contents = [Path(__file__).read_bytes(), json.dumps(calibration).encode()]
    contents += [weights.read_bytes()] if weights.exists() else []
    return json.dumps({"source": source, "versions": versions(),
                       "sha256": [hashlib.sha256(content).hexdigest() for content in contents]})


def build(folder: Path, source: str, calibration: list[list[int]]) -> None:
    """From an architecture's name (random weights) or an int8 checkpoint; calibration, rows of ids, is NNCF's."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if source in ARCHITECTURES:
        write_random_model(partial / "model", source)
    else:
        write_dequantized(partial / "model", Path(source))
    export_onnx(partial / "model", partial / "plain.onnx")
    fuse(partial)
    for name in ("plain", "fused"):
        quantize_onnx(partial / f"{name}.onnx", partial / f"{name}-int8.onnx")
    quantize_openvino(partial / "plain.onnx", partial / "openvino-int8.xml", calibration)
    (partial / "built.json").write_text(stamp_of(source, calibration), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def write_random_model(directory: Path, architecture: str) -> None:
    import reference_models
    from reference_tokenizers import write_roberta_tokenizer

    shape = ARCHITECTURES[architecture]
    is_roberta = architecture.startswith("roberta")
    config = (reference_models.roberta_config if is_roberta else reference_models.bert_config)(3, **shape)
    reference_models.random_model(config, seed=1, matrix=0.04, bias=0.05, norm=0.1).save_pretrained(directory)
    if is_roberta:
        write_roberta_tokenizer(directory)
    else:
        reference_models.write_tiny_bert_tokenizer(directory, shape["vocab_size"])


def write_dequantized(directory: Path, checkpoint: Path) -> None:
    """The f32 weights that an int8 checkpoint stands for, so that every runtime starts from the same ones."""
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoConfig, AutoModelForSequenceClassification

    import int8_checkpoint

    config = AutoConfig.from_pretrained(checkpoint)
    del config.quantization_config
    model = AutoModelForSequenceClassification.from_config(config)
    state = int8_checkpoint.dequantize(load_file(checkpoint / "model.safetensors"))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    model.save_pretrained(directory)
    for name in TOKENIZER_FILES:
        if (checkpoint / name).exists():
            shutil.copyfile(checkpoint / name, directory / name)


def export_onnx(model_directory: Path, path: Path) -> None:
    """Eager attention: ONNX Runtime's optimizer knows that graph, and sdpa's is up to a fifth slower in it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModelForSequenceClassification.from_pretrained(model_directory,
                                                                            attn_implementation="eager").eval()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.arange(5, 29)[None]
    axes = {0: "batch", 1: "tokens"}
    with torch.inference_mode():
        torch.onnx.export(Logits(), (ids, torch.ones_like(ids)), path, dynamo=False, opset_version=17,
                          input_names=["input_ids", "attention_mask"], output_names=["logits"],
                          dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}})


def fuse(folder: Path) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    config = json.loads((folder / "model/config.json").read_text(encoding="utf-8"))
    fused = optimize_model(str(folder / "plain.onnx"), model_type="bert", num_heads=config["num_attention_heads"],
                           hidden_size=config["hidden_size"], opt_level=1)
    fused.save_model_to_file(str(folder / "fused.onnx"))


def quantize_onnx(source: Path, target: Path) -> None:
    """Signed weights: they keep to the VNNI kernels, unsigned ones take 1.7 times as long."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The type is for shape inference, which does not know the fused operators.
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def quantize_openvino(source: Path, target: Path, calibration: list[list[int]]) -> None:
    """With SmoothQuant, which is NNCF's default for transformers."""
    import nncf
    import numpy as np
    import openvino

    rows = [np.array([ids], dtype=np.int64) for ids in calibration]
    data = nncf.Dataset([{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in rows])
    model = nncf.quantize(openvino.Core().read_model(source), data, model_type=nncf.ModelType.TRANSFORMER,
                          subset_size=len(rows))
    openvino.save_model(model, target, compress_to_fp16=False)
