"""gRPC by the field's own clients: tritonclient's, kserve's, and grpcio's for the health service and for what no client sends."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

import triton_grpc
from apus_server import free_port, until
from test_protocols import LABELS, MODEL, TEXTS, assert_tensors
from traffic import keep_busy, long_texts

SERVICE = "/inference.GRPCInferenceService"
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def expected(predictions_of) -> dict[str, dict]:
    return predictions_of(TEXTS)


def address(server) -> str:
    return f"127.0.0.1:{server.port}"


def grpc_port(server) -> int:
    found = until(lambda: re.search(r"gRPC port open.*http:\\?/\\?/127\.0\.0\.1:(\d+)", server.log()), "the gRPC port is open")
    return int(found[1])


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(address(server)) as channel:
        yield channel


def infer_request(texts: list[str] | list[bytes], raw: bool = False, **fields) -> messages.ModelInferRequest:
    texts = [text.encode() if isinstance(text, str) else text for text in texts]
    tensor = messages.ModelInferRequest.InferInputTensor(name="input-0", datatype="BYTES", shape=[len(texts)])
    request = messages.ModelInferRequest(**{"model_name": MODEL, **fields})
    if raw:
        request.raw_input_contents.append(b"".join(len(text).to_bytes(4, "little") + text for text in texts))
    else:
        tensor.contents.bytes_contents.extend(texts)
    request.inputs.append(tensor)
    return request


def refusal(channel, request: messages.ModelInferRequest, **arguments) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30, **arguments)
    return refused.value


# tritonclient

@pytest.fixture(scope="module")
def triton():
    with triton_grpc.process() as pool:
        yield lambda function, *arguments, **named: pool.submit(function, *arguments, **named).result(60)


class Result:
    def __init__(self, outputs: dict[str, np.ndarray]):
        self.as_numpy = outputs.__getitem__


def test_triton_client_finds_the_server_and_its_model(server, triton):
    assert triton(triton_grpc.health, address(server), MODEL) == [True, True, True]
    about, model = triton(triton_grpc.metadata, address(server), MODEL)
    assert about == {"name": "apus", "version": requests.get(server.url + "/v2", timeout=10).json()["version"]}
    assert model == {
        "name": MODEL, "versions": ["1"], "platform": "apus",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": ["-1"]}],
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": ["-1"]},
                    {"name": "score", "datatype": "FP32", "shape": ["-1"]},
                    {"name": "scores", "datatype": "FP32", "shape": ["-1", "3"]}],
    }


def test_triton_client_gets_the_scores(server, triton, expected):
    for texts in (TEXTS[:1], TEXTS):
        answer = triton(triton_grpc.infer, address(server), MODEL, texts, request_id="mine")
        assert_tensors(Result(answer["outputs"]), texts, expected)
        assert (answer["id"], answer["model"], answer["version"]) == ("mine", MODEL, "1")
    answer = triton(triton_grpc.infer, address(server), MODEL, TEXTS, outputs=["scores", "label"])
    assert list(answer["outputs"]) == ["scores", "label"]


def test_triton_client_is_told_what_is_wrong(server, triton):
    def refused(model: str = MODEL, **arguments) -> tuple[str, str]:
        answer = triton(triton_grpc.infer, address(server), model, TEXTS, **arguments)
        return answer["status"], answer["message"]

    status, message = refused("another")
    assert status == "StatusCode.NOT_FOUND" and "another" in message and MODEL in message
    status, message = refused(datatype="FP32")
    assert status == "StatusCode.INVALID_ARGUMENT" and "FP32" in message and "BYTES" in message
    status, message = refused(outputs=["mood"])
    assert status == "StatusCode.INVALID_ARGUMENT" and "mood" in message
    assert refused(model_version="7")[0] == "StatusCode.NOT_FOUND"
    # grpcio compresses what becomes shorter by it.
    answer = triton(triton_grpc.infer, address(server), MODEL, ["again and again " * 50], compression_algorithm="gzip")
    assert answer["status"] == "StatusCode.UNIMPLEMENTED" and "compressed" in answer["message"]


# kserve's client

@pytest.mark.parametrize("raw", [False, True], ids=["contents", "raw"])
def test_kserve_client_gets_the_scores(server, expected, raw):
    tensor = InferInput("input-0", [len(TEXTS)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], dtype=np.object_), binary_data=raw)

    async def ask():
        async with InferenceGRPCClient(address(server)) as client:
            assert await client.is_server_live() and await client.is_server_ready() and await client.is_model_ready(MODEL)
            return await client.infer(InferRequest(model_name=MODEL, infer_inputs=[tensor], request_id="mine"))

    answer = asyncio.run(ask())
    assert answer.id == "mine" and answer.model_name == MODEL

    class ByName:
        def as_numpy(self, name: str) -> np.ndarray:
            return answer.get_output_by_name(name).as_numpy()

    assert_tensors(ByName(), TEXTS, expected)


# What the service says

def test_whoever_sends_raw_bytes_gets_raw_bytes(channel, expected):
    stub = GRPCInferenceServiceStub(channel)
    plain, raw = (stub.ModelInfer(infer_request(TEXTS, raw), timeout=30) for raw in (False, True))
    assert not plain.raw_output_contents and [len(output.contents.fp32_contents) for output in plain.outputs] == [0, 4, 12]
    assert len(raw.raw_output_contents) == 3 and not any(output.HasField("contents") for output in raw.outputs)
    scores = np.frombuffer(raw.raw_output_contents[2], "<f4")
    np.testing.assert_array_equal(scores, np.array(plain.outputs[2].contents.fp32_contents, np.float32))
    assert scores[:3].tolist() == [np.float32(expected[TEXTS[0]]["scores"][label]) for label in LABELS]


@pytest.mark.parametrize("request_, code, word", [
    (infer_request(["a"], model_name="another"), Code.NOT_FOUND, "another"),
    (infer_request(["a"], model_version="2"), Code.NOT_FOUND, "version"),
    (messages.ModelInferRequest(model_name=MODEL), Code.INVALID_ARGUMENT, "inputs"),
    (infer_request([b"\xff"]), Code.INVALID_ARGUMENT, r"bytes_contents\[0\]"),
    (infer_request([b"\xff"], raw=True), Code.INVALID_ARGUMENT, "UTF-8"),
    (infer_request(["a", ""]), Code.INVALID_ARGUMENT, r"bytes_contents\[1\]"),
    (infer_request(["a", ""], raw=True), Code.INVALID_ARGUMENT, r"raw_input_contents\[0\]\[1\]"),
    (infer_request(["a"] * 129), Code.RESOURCE_EXHAUSTED, "129 texts"),
    (infer_request(["a" * (2 << 20)]), Code.RESOURCE_EXHAUSTED, "2097152 bytes"),
    (infer_request(["ä" * 100_001]), Code.INVALID_ARGUMENT, "100001 characters"),
], ids=["model", "version", "no input", "not UTF-8", "not UTF-8, raw", "empty", "empty, raw", "batch", "body", "text"])
def test_a_wrong_call_has_its_code_and_a_message(channel, request_, code, word):
    error = refusal(channel, request_)
    assert error.code() == code and re.search(word, error.details()), error


def test_raw_contents_that_do_not_fit_are_refused(channel):
    for contents, word in (([b"\5\0\0\0abc"], "ends within"), ([b"\1\0\0\0a"] * 2, "one element"), ([b"\1\0"], "ends within")):
        request = infer_request(["a"], raw=True)
        request.ClearField("raw_input_contents")
        request.raw_input_contents.extend(contents)
        error = refusal(channel, request)
        assert error.code() == Code.INVALID_ARGUMENT and word in error.details()
    both = infer_request(["a"], raw=True)
    both.inputs[0].contents.bytes_contents.append(b"a")
    assert refusal(channel, both).code() == Code.INVALID_ARGUMENT


def call(channel, path: str, body: bytes, **arguments) -> bytes:
    return channel.unary_unary(path)(body, timeout=30, **arguments)


def test_what_is_no_message_and_what_is_no_method_is_refused(channel):
    for path, body, code in (
        (SERVICE + "/ModelInfer", b"\xff\xff\xff", Code.INVALID_ARGUMENT), (SERVICE + "/ModelStreamInfer", b"", Code.UNIMPLEMENTED),
        ("/grpc.health.v1.Health/Watch", b"", Code.UNIMPLEMENTED), ("/predict/no", b"", Code.UNIMPLEMENTED),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, path, body)
        assert refused.value.code() == code, path


def test_the_health_service_speaks_of_the_server_and_its_service(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "inference.GRPCInferenceService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="another"), timeout=10)
    assert refused.value.code() == Code.NOT_FOUND


def test_a_call_has_the_ids_and_figures_of_a_request(server, channel):
    def count(status: str, method: str = "POST", name: str = "ModelInfer") -> float:
        return server.metrics().value("http_requests_total", handler=f"{SERVICE}/{name}", method=method, status=status)

    before = [count("200"), count("404"), count("200", "other", "ServerLive")]
    stub = GRPCInferenceServiceStub(channel)
    _, answered = stub.ModelInfer.with_call(infer_request(TEXTS), timeout=30, metadata=[("x-request-id", "of-mine")])
    metadata = dict(answered.initial_metadata())
    assert metadata["x-request-id"] == "of-mine" and metadata["x-apus-model"].startswith(MODEL + "@")
    assert "infer;dur=" in metadata["server-timing"]
    refusal(channel, infer_request(TEXTS, model_name="another"))
    stub.ServerLive(messages.ServerLiveRequest(), timeout=10)
    assert [count("200"), count("404"), count("200", "other", "ServerLive")] == [value + 1 for value in before]
    feedback = requests.post(server.url + "/feedback", json={"request_id": "of-mine", "label": "neutral"}, timeout=10)
    assert feedback.status_code == 200, feedback.text


def test_the_key_is_asked_for_but_by_probes(start_server):
    server = start_server("--api-key", "secret")
    with grpc.insecure_channel(address(server)) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(messages.ServerLiveRequest(), timeout=10).live
        assert stub.ServerReady(messages.ServerReadyRequest(), timeout=10).ready
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        assert refusal(channel, infer_request(TEXTS)).code() == Code.UNAUTHENTICATED
        wrong = refusal(channel, infer_request(TEXTS), metadata=[("authorization", "Bearer wrong")])
        assert wrong.code() == Code.UNAUTHENTICATED and "API key" in wrong.details()
        right = [("authorization", "Bearer secret")]
        assert stub.ModelInfer(infer_request(TEXTS), timeout=30, metadata=right).model_name == MODEL


def test_a_full_queue_refuses_and_a_deadline_ends_a_call(start_server):
    server = start_server("--max-queue", "64", "--threads", "1", "--request-timeout", "60")
    busy = keep_busy(server, texts=24)
    with grpc.insecure_channel(address(server)) as channel:
        stub = GRPCInferenceServiceStub(channel)
        until(lambda: server.metrics().value("apus_queue_depth") > 0, "texts wait")
        full = refusal(channel, infer_request(["short"] * 64))
        assert full.code() == Code.RESOURCE_EXHAUSTED and "wait for the model" in full.details()
        with pytest.raises(grpc.RpcError) as late:
            stub.ModelInfer(infer_request(["short"]), timeout=0.2)
        assert late.value.code() == Code.DEADLINE_EXCEEDED
        # A client that gives up has left, or its deadline passed: either way its text costs no pass.
        until(lambda: server.rejected("client_gone") + server.rejected("deadline") > 0, "the text was dropped", 30)
    assert busy.result().status == 200


def test_a_hundred_calls_at_once_share_a_connection(server, expected):
    with grpc.insecure_channel(address(server)) as channel, ThreadPoolExecutor(150) as pool:
        stub = GRPCInferenceServiceStub(channel)
        answers = list(pool.map(lambda number: stub.ModelInfer(infer_request([TEXTS[number % 4]]), timeout=60), range(600)))
    for number, answer in enumerate(answers):
        assert answer.outputs[1].contents.fp32_contents[0] == np.float32(expected[TEXTS[number % 4]]["score"])


# Its port

def test_the_grpc_port_answers_calls_and_nothing_else(start_server, triton):
    server = start_server("--grpc-port", "0")
    port = grpc_port(server)
    for place in (f"127.0.0.1:{port}", address(server)):
        assert triton(triton_grpc.health, place, MODEL) == [True, True, True]
        assert triton(triton_grpc.infer, place, MODEL, ["I love MLOps"])["outputs"]["label"].tolist() == [b"positive"]
    for path in ("/health/live", "/status", "/predict"):
        assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code == 404
    answer = requests.post(server.url + SERVICE + "/ModelInfer", json={}, timeout=10)
    assert answer.status_code == 415 and "application/grpc" in answer.json()["error"]["message"]


def test_the_grpc_port_is_not_open_unless_asked_for_and_may_be_set_by_a_variable(start_server):
    assert "gRPC port" not in start_server().log()
    port = free_port()
    start_server(env={"APUS_GRPC_PORT": str(port)})
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert GRPCInferenceServiceStub(channel).ServerLive(messages.ServerLiveRequest(), timeout=10, wait_for_ready=True).live
    server = start_server(env={"APUS_GRPC_PORT": "tcp://10.0.0.1:9000"})
    assert "Service named apus-grpc" in server.log() and "gRPC port" not in server.log()


def test_a_server_that_stops_answers_what_it_took_and_lets_idle_clients_go(start_server):
    server = start_server("--grpc-port", "0", "--threads", "1")
    port = grpc_port(server)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as idle, grpc.insecure_channel(address(server)) as channel:
        assert GRPCInferenceServiceStub(idle).ServerLive(messages.ServerLiveRequest(), timeout=10).live
        before = server.metrics().value("apus_batch_texts_count")
        answer = GRPCInferenceServiceStub(channel).ModelInfer.future(infer_request(long_texts(16)), timeout=60)
        until(lambda: server.metrics().value("apus_batch_texts_count") > before, "the engine is at work")
        server.terminate()
        assert len(answer.result(60).outputs) == 3
        began = time.monotonic()
        assert server.wait(30) == 0
        assert time.monotonic() - began < 10, "an idle client held the server's end up"
