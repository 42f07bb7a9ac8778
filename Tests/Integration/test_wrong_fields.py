"""Wrong types, wrong values and broken JSON in every field: a 4xx that names the field, never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from raw_http import Connection, request

INFER = "/v2/models/minilm-l6-tweet-sentiment/infer"

NULL, TRUE, NUMBER, FRACTION, STRING, EMPTY = None, True, 7, 1.5, "a text", ""
LIST, OBJECT, NESTED = [], {}, [[["x"]]]
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["I love MLOps"]}

PREDICT_FIELDS: dict[str, tuple[list[Any], Any]] = {
    # field: (wrong values, the body with one of them)
    "text": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT, ["x"], NESTED], lambda value: {"text": value}),
    "texts": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, STRING, LIST, OBJECT, {"0": "x"}], lambda value: {"texts": value}),
    "texts[1]": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT, ["x"]], lambda value: {"texts": ["x", value]}),
    "inputs": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT], lambda value: {"inputs": value}),
    "inputs[1]": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT, ["x", "y", "z"], ["x", 1],
                   {"text": 1}, {"text": "x", "text_pair": 1}], lambda value: {"inputs": ["x", value]}),
    "instances": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, STRING, LIST, OBJECT, {"text": "x"}],
                  lambda value: {"instances": value}),
    "instances[1]": ([NULL, TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT, ["x", "y", "z"], ["x", 1], {"text": 1}],
                     lambda value: {"instances": ["x", value]}),
    "raw_scores": ([NUMBER, 0, STRING, "true", LIST, OBJECT], lambda value: {"text": "x", "raw_scores": value}),
    "truncation_direction": ([TRUE, NUMBER, STRING, EMPTY, LIST, OBJECT],
                             lambda value: {"text": "x", "truncation_direction": value}),
    "text_pair": ([TRUE, NUMBER, FRACTION, EMPTY, LIST, OBJECT], lambda value: {"text": "x", "text_pair": value}),
    "inputs[0]": ([[NULL], [TRUE], [NUMBER], [EMPTY], [LIST], [["x"]], [OBJECT]], lambda value: {"inputs": [value]}),
    "parameters": ([TRUE, NUMBER, FRACTION, STRING, LIST, ["x"]], lambda value: {"inputs": "x", "parameters": value}),
    "truncate": ([NUMBER, 0, FRACTION, STRING, "true", LIST, OBJECT], lambda value: {"text": "x", "truncate": value}),
    "top_k": ([TRUE, FRACTION, STRING, "1", LIST, OBJECT, 0, -1, -2**63],
              lambda value: {"inputs": "x", "parameters": {"top_k": value}}),
    "function_to_apply": ([TRUE, NUMBER, STRING, EMPTY, LIST, OBJECT, "Softmax "],
                          lambda value: {"inputs": "x", "parameters": {"function_to_apply": value}}),
    "parameters.truncate": ([NUMBER, STRING, LIST, OBJECT],
                            lambda value: {"inputs": "x", "parameters": {"truncate": value}}),
}

INFER_FIELDS: dict[str, tuple[list[Any], Any]] = {
    "inputs": ([NULL, TRUE, NUMBER, STRING, LIST, OBJECT, [NULL], [NUMBER], [STRING], [LIST], [TENSOR, TENSOR]],
               lambda value: {"inputs": value}),
    "name": ([NULL, TRUE, NUMBER, EMPTY, LIST, OBJECT], lambda value: {"inputs": [TENSOR | {"name": value}]}),
    "shape": ([NULL, TRUE, NUMBER, STRING, LIST, OBJECT, [0], [2], [-1], [1.5], ["1"], [NULL], [1, 2], [1, 1, 1], [2**62, 4],
               [-1, -1], [1, 0]], lambda value: {"inputs": [TENSOR | {"shape": value}]}),
    "datatype": ([NULL, TRUE, NUMBER, EMPTY, "FP32", "INT64", "bytes ", LIST, OBJECT],
                 lambda value: {"inputs": [TENSOR | {"datatype": value}]}),
    "data": ([NULL, TRUE, NUMBER, STRING, LIST, OBJECT, [NUMBER], [NULL], [EMPTY], [TRUE], [OBJECT], ["x", "y"],
              [["x", "y"]]], lambda value: {"inputs": [TENSOR | {"data": value}]}),
    "parameters": ([NUMBER, STRING, LIST], lambda value: {"inputs": [TENSOR], "parameters": value}),
    "outputs": ([NUMBER, STRING, OBJECT, [NULL], [NUMBER], [STRING], [{"name": NUMBER}], [{"name": "mood"}], [OBJECT]],
                lambda value: {"inputs": [TENSOR], "outputs": value}),
    "id": ([NUMBER, TRUE, LIST, OBJECT], lambda value: {"inputs": [TENSOR], "id": value}),
}


def cases(fields: dict[str, tuple[list[Any], Any]]) -> list:
    return [pytest.param(field, body(value), id=f"{field}={json.dumps(value)}")
            for field, (values, body) in fields.items() for value in values]


def post(server, path: str, body: Any, headers: dict | None = None) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | (headers or {})
    return requests.post(server.url + path, data=data, headers=headers, timeout=20)


@pytest.mark.parametrize("field, body", cases(PREDICT_FIELDS))
def test_a_wrong_value_for_predict_is_named(server, field, body):
    answer = post(server, "/predict", body)
    error = answer.json()["error"]
    assert answer.status_code == 422 and error["type"] == "invalid_request", answer.text
    assert field in error["message"], error


@pytest.mark.parametrize("field, body", cases(INFER_FIELDS))
def test_a_wrong_value_for_infer_is_named(server, field, body):
    answer = post(server, INFER, body)
    error = answer.json()["error"]
    assert answer.status_code in (400, 422) and isinstance(error, str), answer.text
    named = {field} | ({"shape"} if field == "data" else {"data"} if field == "shape" else set())
    assert any(name in error for name in named), error


@pytest.mark.parametrize("missing", ["name", "shape", "datatype", "data", "inputs"])
def test_a_missing_field_of_infer_is_named(server, missing):
    tensor = {name: value for name, value in TENSOR.items() if name != missing}
    answer = post(server, INFER, {} if missing == "inputs" else {"inputs": [tensor]})
    assert answer.status_code in (400, 422) and missing in answer.json()["error"], answer.text


@pytest.mark.parametrize("value", [NULL, TRUE, NUMBER, FRACTION, STRING, LIST, ["text"], OBJECT, {"Text": "x"}],
                         ids=json.dumps)
@pytest.mark.parametrize("path", ["/predict", "/", INFER])
def test_a_body_of_another_kind_is_refused(server, path, value):
    answer = post(server, path, value)
    assert answer.status_code in ((400, 422) if path == INFER else (422,)) and answer.json()["error"]


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b'{"text":', b'{"text":"x"', b'{"text":"x"}}', b'{"text":"x"} x', b'{"text":"x",}',
    b"{'text':'x'}", b'{"text":"x', b'{"text":x}', b'{text:"x"}', b'"', b'{"text":"\\x"}', b'{"text":"\\u12"}',
    b"NaN", b'{"text":NaN}', b'{"text":01}', b"\x00", b'{"text":"a\x00b"}', b'{"text":"a\x01b"}', b'{"text":"a\nb"}',
    b'{"text":"a\tb"}', b'{"text":"\xff"}', b'{"text":"\xc3"}', b'{"text":"\xc0\x80"}', b'{"text":"\xed\xa0\x80"}',
    b'{"text":"\xf4\x90\x80\x80"}', b'{"te\xffxt":"x"}', b"\xff\xfe{\x00", b"text=x", b"<text>x</text>",
    b"\x1f\x8b\x08\x00",
], ids=repr)
@pytest.mark.parametrize("path", ["/predict", INFER])
def test_what_is_not_json_in_utf_8_is_a_400(server, path, body):
    answer = post(server, path, body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert isinstance(error, str) if path == INFER else error["type"] == "malformed_json", error


@pytest.mark.parametrize("path, body", [
    ("/predict", b"[" * 100_000), ("/predict", b"[" * 100_000 + b"]" * 100_000), ("/predict", b'{"a":' * 100_000),
    ("/predict", b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("/predict", b'{"inputs":' + b"[" * 100_000 + b'"x"' + b"]" * 100_000 + b"}"),
    ("/predict", b'{"inputs":"x","parameters":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"),
    (INFER, b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":' + b"[" * 100_000 + b"]" * 100_000
     + b"}]}"),
    (INFER, b'{"inputs":[{"name":"text","shape":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"),
], ids=lambda value: None if isinstance(value, str) else repr(value[:24]))
def test_a_hundred_thousand_brackets_are_refused(server, path, body):
    answer = post(server, path, body)
    assert answer.status_code in (400, 422) and answer.json()["error"], answer.text
    server.assert_answers()


@pytest.mark.parametrize("text", [
    "a\0b", "\0", "\x01\x02\x1f\x7f", "\t\r\n", " ", "\u200b", "\ufeff", "\u202e", "\ufffe\uffff", "\U0010ffff",
    "e" + "\u0301" * 5000, "👩‍👩‍👧‍👦" * 500, "a" * 100_000, "\\\"/", "[SEP][CLS][PAD][MASK]",
], ids=lambda text: ascii(text[:8]))
def test_a_strange_text_is_a_text(server, text):
    for body in ({"text": text}, {"texts": [text, "x"]}, {"inputs": text}):
        answer = post(server, "/predict", body)
        assert answer.status_code == 200, answer.text
    single = post(server, "/predict", {"text": text}).json()
    assert abs(sum(single["scores"].values()) - 1) < 1e-5
    assert post(server, "/predict", {"texts": [text]}).json()["predictions"] == [single]


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\ud800", "\\udc00\\ud800"])
def test_half_a_surrogate_pair_is_no_failure_of_the_server(server, escape):
    assert post(server, "/predict", b'{"text":"a%sb"}' % escape.encode()).status_code in (200, 400, 422)


def test_two_of_the_four_forms_at_once_are_refused(server):
    for body in ({"text": "x", "instances": ["y"]}, {"instances": ["x"], "inputs": "y"},
                 {"text": "x", "texts": ["y"]}, {"text": "x", "inputs": "y"}, {"texts": ["x"], "inputs": "y"}):
        answer = post(server, "/predict", body)
        assert answer.status_code == 422 and all(name in answer.json()["error"]["message"] for name in body)


def test_a_batch_that_is_too_large_is_a_413_that_names_the_limit(server):
    limit = server.status()["limits"]["max_client_batch"]
    tensor = TENSOR | {"shape": [limit + 1], "data": ["x"] * (limit + 1)}
    for path, body in (("/predict", {"texts": ["x"] * (limit + 1)}), ("/predict", {"inputs": ["x"] * (limit + 1)}),
                       (INFER, {"inputs": [tensor]})):
        answer = post(server, path, body)
        assert answer.status_code == 413 and str(limit) in answer.text and str(limit + 1) in answer.text, answer.text
    assert post(server, "/predict", {"texts": ["x"] * limit}).status_code == 200


def test_a_text_that_is_too_long_is_refused_where_it_must_not_be_cut(server):
    long = "word " * 1000
    for body, field in (({"text": long}, "text"), ({"texts": ["x", long]}, "texts[1]"), ({"inputs": long}, "inputs")):
        answer = post(server, "/predict", body | {"truncate": False})
        assert answer.status_code == 422 and field in answer.text.replace("\\", ""), answer.text
        assert str(server.status()["limits"]["max_tokens"]) in answer.json()["error"]["message"]
        assert post(server, "/predict", body | {"truncate": True}).status_code == 200


@pytest.mark.parametrize("headers", [
    {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "application/jsonx"}, {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Encoding": "br"},
], ids=str)
@pytest.mark.parametrize("path", ["/predict", INFER])
def test_another_media_type_is_a_415(server, path, headers):
    answer = post(server, path, {"text": "x"} if path == "/predict" else {"inputs": [TENSOR]}, headers)
    assert answer.status_code == 415, answer.text
    assert list(headers.values())[0].split(";")[0] in answer.text


def binary_tensor(size: Any) -> dict:
    return {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}


@pytest.mark.parametrize("length", ["x", "-1", "0", "999999", "1", "18446744073709551616", ""])
def test_a_lying_length_of_the_binary_extensions_header_is_refused(server, length):
    body = json.dumps({"inputs": [binary_tensor(5)]})
    answer = post(server, INFER, body.encode() + b"\x01\0\0\0x", {"Inference-Header-Content-Length": length})
    assert answer.status_code in (400, 422) and isinstance(answer.json()["error"], str), answer.text


@pytest.mark.parametrize("size, tensor", [
    (5, b"\x02\0\0\0x"), (5, b"\xff\xff\xff\xffx"), (5, b"\xff\xff\xff\x7fx"), (3, b"\x01\0\0"), (0, b""), (4, b"\0\0\0\0"),
    (9, b"\x01\0\0\0x"), (5, b"\x01\0\0\0xx"), (5, b"\x01\0\0\0\xff"), (-5, b"\x01\0\0\0x"), (2**63, b"\x01\0\0\0x"),
    ("5", b"\x01\0\0\0x"), (10, b"\x01\0\0\0x\x01\0\0\0y"),
], ids=repr)
def test_a_damaged_binary_tensor_is_refused(server, size, tensor):
    body = json.dumps({"inputs": [binary_tensor(size)]})
    answer = post(server, INFER, body.encode() + tensor, {"Inference-Header-Content-Length": str(len(body))})
    assert answer.status_code in (400, 422) and isinstance(answer.json()["error"], str), answer.text


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "/predict", "POST"), ("PUT", "/predict", "POST"), ("DELETE", "/status", "GET"), ("POST", "/metrics", "GET"),
    ("POST", "/health/live", "GET"), ("PATCH", "/", "POST"), ("GET", INFER, "POST"), ("POST", "/v2", "GET"),
])
def test_a_method_that_is_not_allowed_is_a_405_that_names_those_that_are(server, method, path, allowed):
    answer = requests.request(method, server.url + path, timeout=10)
    assert answer.status_code == 405 and allowed in answer.headers["Allow"].split(", "), answer.headers


@pytest.mark.parametrize("path", [
    "/nowhere", "/predict/x", "/v2/nothing", "/v2/models/another/infer", "/docs/nothing.js", "/docs/../../etc/passwd",
    "/..%2f..%2fetc/passwd", "/docs/%2e%2e/%2e%2e/etc/passwd", "/docs/..%2f..%2fetc%2fpasswd", "/%00", "/%ff",
])
def test_a_path_that_is_not_there_is_a_404(server, path):
    body = b'{"inputs":[]}' if path.endswith("infer") else None
    with Connection(server.port) as connection:
        answer = connection.exchange(request(path, body))
    assert answer.status in ((404, 400) if "%" in path else (404,)), answer
    error = answer.json()["error"]
    assert isinstance(error, str) if path.startswith("/v2") else error["message"]
