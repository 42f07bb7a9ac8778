"""The runtimes that Apus is compared with.

Each turn of one is a process of its own: no idle pool of threads spins while another is timed, and each has its thread
count from its first import on.

A turn is asked for with `work`; this file as a program is the other end, a JSON request on stdin, the answer on stdout.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peer_models

WARM_UP_SHARE = 0.2  # of the seconds that are timed
MIN_REPEATS = 5
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class PeerError(ValueError):
    """What keeps a comparison from running; the message names it and the next step."""


@dataclass(frozen=True)
class Peer:
    runtime: str  # as tables name it
    precision: str
    engine: str
    file: str
    rest: str = "f32"  # what is not a quantized product; OpenVINO takes bf16 for it where the CPU has it

    @property
    def is_reduced(self) -> bool:
        """f32 that is computed in bf16: OpenVINO's own choice where the CPU has it, but no f32."""
        return self.precision == "f32" and self.rest != "f32"


IN_BF16 = "OpenVINO, in bf16"  # f32 weights; beside the others, not one of them

PEERS = (
    Peer("PyTorch", "f32", "pytorch", "model"),
    Peer("ONNX Runtime", "f32", "onnxruntime", "plain.onnx"),
    Peer("ONNX Runtime, fused", "f32", "onnxruntime", "fused.onnx"),
    Peer("OpenVINO", "f32", "openvino", "plain.onnx"),
    Peer(IN_BF16, "f32", "openvino", "plain.onnx", rest="bf16"),
    Peer("ONNX Runtime", "int8", "onnxruntime", "plain-int8.onnx"),
    Peer("ONNX Runtime, fused", "int8", "onnxruntime", "fused-int8.onnx"),
    Peer("OpenVINO", "int8", "openvino", "openvino-int8.xml"),
    Peer("OpenVINO, rest bf16", "int8", "openvino", "openvino-int8.xml", rest="bf16"),
)

PYTORCH = PEERS[0]  # what every answer is held to


def peers_for(precisions: list[str], cpu_flags: list[str]) -> list[Peer]:
    has_bf16 = any(flag in cpu_flags for flag in ("avx512_bf16", "amx_bf16"))
    return [peer for peer in PEERS if peer.precision in precisions and (peer.rest == "f32" or has_bf16)]


def build(folder: Path, source: str, calibration: list[list[int]]) -> None:
    """Makes every peer's model in the folder, unless that is done."""
    if peer_models.is_built(folder, source, calibration):
        return
    print(f"building {source} for every runtime in {folder}", file=sys.stderr, flush=True)
    threads = len(os.sched_getaffinity(0))
    work({"do": "build", "folder": str(folder.resolve()), "source": source, "calibration": calibration}, threads)


def run(peer: Peer, folder: Path, threads: int, inputs: list[list[int]], seconds: float = 0) -> dict:
    """{"logits": a row an input, "p50_ms": a number an input}; with 0 seconds each input runs once, without warm-up."""
    return work({"do": "run", "folder": str(folder.resolve()), "peer": PEERS.index(peer), "inputs": inputs,
                 "seconds": seconds, "threads": threads}, threads)


def work(request: dict, threads: int) -> dict:
    # CI=true: NNCF and OpenVINO send no telemetry.
    environment = os.environ | {"CI": "true", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    environment |= {name: str(threads) for name in THREAD_VARIABLES}
    finished = subprocess.run([sys.executable, __file__], input=json.dumps(request).encode(), capture_output=True,
                              env=environment)
    if finished.returncode != 0:
        what = PEERS[request["peer"]].runtime if "peer" in request else f"building {request['folder']}"
        lines = finished.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise PeerError(f"{what}: exit code {finished.returncode}: {lines[-1]} (the packages are those of "
                        "tools/requirements-peers.txt; remove the work folder to build the models anew)")
    return json.loads(finished.stdout)


# In the worker

def main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # NNCF draws its progress on stdout.
    request = json.load(sys.stdin)
    if request["do"] == "build":
        peer_models.build(Path(request["folder"]), request["source"], request["calibration"])
        result = {}
    else:
        result = turn(PEERS[request["peer"]], Path(request["folder"]), request["threads"], request["inputs"],
                      request["seconds"])
    json.dump(result, answer)
    answer.close()


def turn(peer: Peer, folder: Path, threads: int, inputs: list[list[int]], seconds: float) -> dict:
    openers = {"pytorch": open_pytorch, "onnxruntime": open_onnxruntime, "openvino": open_openvino}
    bind = openers[peer.engine](peer, folder / peer.file, threads, fixed_shape=seconds > 0)
    logits, medians = [], []
    for ids in inputs:
        call = bind(ids)
        logits.append([float(value) for value in call()])
        if seconds > 0:
            medians.append(median_milliseconds(call, seconds))
    return {"logits": logits, "p50_ms": medians}


def median_milliseconds(call: Callable, seconds: float) -> float:
    repeat(call, WARM_UP_SHARE * seconds)
    return statistics.median(repeat(call, seconds)) * 1e3


def repeat(call: Callable, seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MIN_REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


# Each opens a model and gives back what binds a row of ids to it: a function that returns the logits.

def open_pytorch(_: Peer, path: Path, threads: int, fixed_shape: bool) -> Callable:
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_grad_enabled(False)
    model = AutoModelForSequenceClassification.from_pretrained(path, attn_implementation="sdpa").eval()

    def bind(row: list[int]) -> Callable:
        ids = torch.tensor([row])
        mask = torch.ones_like(ids)

        @torch.inference_mode()
        def call():
            return model(input_ids=ids, attention_mask=mask).logits[0]
        return call
    return bind


def open_onnxruntime(_: Peer, path: Path, threads: int, fixed_shape: bool) -> Callable:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def bind(row: list[int]) -> Callable:
        ids = np.array([row], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return lambda: session.run(None, feed)[0][0]
    return bind


def open_openvino(peer: Peer, path: Path, threads: int, fixed_shape: bool) -> Callable:
    """Compiled for each length where there are few: up to a third faster than a model of any length."""
    import numpy as np
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": peer.rest}
    any_length = None if fixed_shape else core.compile_model(model, "CPU", settings).create_infer_request()

    def bind(row: list[int]) -> Callable:
        ids = np.array([row], dtype=np.int64)
        request = any_length
        if fixed_shape:
            model.reshape({"input_ids": [1, len(row)], "attention_mask": [1, len(row)]})
            request = core.compile_model(model, "CPU", settings).create_infer_request()
        # Set once: what infer(feed) does with its feed each time costs 5 % of the shortest inference.
        request.set_tensor("input_ids", openvino.Tensor(ids))
        request.set_tensor("attention_mask", openvino.Tensor(np.ones_like(ids)))

        def call():
            request.infer()
            return request.get_output_tensor().data[0]
        return call
    return bind


if __name__ == "__main__":
    main()
