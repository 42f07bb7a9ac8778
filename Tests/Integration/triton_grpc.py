"""tritonclient's gRPC client in a process of its own: its messages have the names of kserve's, and one process takes one of
them only."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def process() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def health(address: str, model: str) -> list[bool]:
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(address) as client:
        return [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)]


def metadata(address: str, model: str) -> list[dict]:
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(address) as client:
        return [client.get_server_metadata(as_json=True), client.get_model_metadata(model, as_json=True)]


def infer(address: str, model: str, texts: list[str], outputs: list[str] | None = None, datatype: str = "BYTES",
          **arguments: Any) -> dict:
    """The outputs' values, and what else the answer says; of an error its status and message."""
    import numpy as np
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    values = np.array([text.encode() for text in texts], dtype=np.object_)
    if datatype != "BYTES":
        values = np.zeros(len(texts), np.float32)
    tensor = triton.InferInput("text", list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    asked = outputs and [triton.InferRequestedOutput(name) for name in outputs]
    with triton.InferenceServerClient(address) as client:
        try:
            result = client.infer(model, [tensor], outputs=asked, **arguments)
        except InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
    response = result.get_response()
    return {
        "id": response.id, "model": response.model_name, "version": response.model_version,
        "outputs": {output.name: result.as_numpy(output.name) for output in response.outputs},
    }
