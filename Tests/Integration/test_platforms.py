"""Where platforms and the clients of other servers look: their paths, fields and variables."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import time

import numpy as np
import pytest
import requests
from httpx import HTTPStatusError
from kserve import InferenceRESTClient, RESTConfig

from apus_server import free_port, until
from raw_http import Connection, request

MODEL = "minilm-l6-tweet-sentiment"
WHOLE = f"apus/{MODEL}"
TEXT = "I love MLOps"
LONG = "I love it. " * 300 + "This is the worst day of my life, I hate it all. " * 60


def ask(server, body: object, path: str = "/predict", status: int = 200):
    answer = requests.post(server.url + path, json=body, timeout=20)
    assert answer.status_code == status, answer.text
    return answer.json()


def message(server, body: object, path: str = "/predict") -> str:
    error = ask(server, body, path, status=422)["error"]
    assert error["type"] == "invalid_request"
    return error["message"]


# Paths

def test_health_and_ping_answer_as_readiness_does(server):
    for path in ("/health", "/ping"):
        answer = requests.get(server.url + path, timeout=10)
        assert answer.status_code == 200 and answer.json() == {"status": "ready"}
        assert requests.head(server.url + path, timeout=10).status_code == 200


def test_info_says_what_text_embeddings_inference_says(server):
    info = requests.get(server.url + "/info", timeout=10).json()
    status = server.status()
    assert info["model_id"] == status["model"] and info["model_sha"] == status["revision"]
    assert info["model_dtype"] == "int8" and info["version"] == status["version"]
    assert info["model_type"]["classifier"]["id2label"] == {
        str(index): label for index, label in enumerate(status["labels"])}
    assert info["model_type"]["classifier"]["label2id"] == {label: index for index, label in enumerate(status["labels"])}
    limits = status["limits"]
    assert info["max_input_length"] == limits["max_tokens"] and info["max_batch_tokens"] == limits["max_batch_tokens"]
    assert info["max_client_batch_size"] == limits["max_client_batch"] and info["auto_truncate"] is True
    assert info["served_model_name"] == MODEL


def test_sagemakers_two_paths_are_there(server):
    assert requests.get(server.url + "/ping", timeout=10).status_code == 200
    assert ask(server, {"inputs": TEXT}, "/invocations") == ask(server, {"inputs": TEXT})
    assert ask(server, {"text": TEXT}, "/invocations") == ask(server, {"text": TEXT})
    assert requests.get(server.url + "/invocations", timeout=10).status_code == 405


def test_instances_are_answered_by_predictions_in_the_form_of_texts(server):
    expected = ask(server, {"texts": [TEXT, "I hate it"]})
    for instances in ([TEXT, "I hate it"], [{"text": TEXT}, {"text": "I hate it"}], [[TEXT], "I hate it"]):
        for path in ("/predict", "/invocations", f"/v1/models/{MODEL}:predict"):
            assert ask(server, {"instances": instances}, path) == expected
    pair = {"text": TEXT, "text_pair": "It is the worst film ever"}
    assert ask(server, {"instances": [pair]})["predictions"] == [ask(server, pair)]
    assert "instances[1]" in message(server, {"instances": ["x", 7]})
    assert "instances[0]" in message(server, {"instances": [{"content": "x"}]})


def kserve_v1(call):
    async def run():
        async with InferenceRESTClient(RESTConfig(protocol="v1", retries=0, timeout=10)) as client:
            return await call(client)
    return asyncio.run(run())


def test_kserve_client_speaks_its_first_protocol(server):
    assert kserve_v1(lambda client: client.is_model_ready(server.url, MODEL)) is True
    answer = kserve_v1(lambda client: client.infer(server.url, {"instances": [TEXT]}, MODEL))
    assert answer == {"predictions": [ask(server, {"text": TEXT})]}
    with pytest.raises(HTTPStatusError, match="404"):
        kserve_v1(lambda client: client.is_model_ready(server.url, "another"))
    with pytest.raises(HTTPStatusError, match="404"):
        kserve_v1(lambda client: client.infer(server.url, {"instances": [TEXT]}, "another"))
    assert requests.get(server.url + "/v1/models", timeout=10).json() == {"models": [MODEL]}


def test_a_wrong_method_on_the_first_protocols_paths_says_what_is_right(server):
    answer = requests.get(server.url + f"/v1/models/{MODEL}:predict", timeout=10)
    assert answer.status_code == 405 and answer.headers["Allow"] == "POST"
    answer = requests.post(server.url + f"/v1/models/{MODEL}", timeout=10)
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"]


def test_vertex_ai_chooses_port_and_paths(start_server):
    port = free_port()
    server = start_server(env={
        "AIP_HTTP_PORT": str(port), "AIP_HEALTH_ROUTE": "/v1/endpoints/12/deployedModels/34",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/12/deployedModels/34:predict"}, port=None)
    assert server.port == port
    health = requests.get(server.url + "/v1/endpoints/12/deployedModels/34", timeout=10)
    assert health.status_code == 200
    answer = ask(server, {"instances": [{"text": TEXT}], "parameters": {}}, "/v1/endpoints/12/deployedModels/34:predict")
    assert answer == {"predictions": [ask(server, {"text": TEXT})]}


def test_vertex_ais_paths_may_be_the_servers_own(start_server):
    for health, predict in (("/health", "/predict"), ("/ping", "/ping"), ("/", "/")):
        server = start_server(env={"AIP_HEALTH_ROUTE": health, "AIP_PREDICT_ROUTE": predict})
        assert requests.get(server.url + health, timeout=10).status_code == 200
        assert ask(server, {"instances": [TEXT]}, predict)["predictions"][0]["label"] == "positive"


@pytest.mark.parametrize("name, value", [
    ("AIP_HTTP_PORT", "http"), ("AIP_HTTP_PORT", "70000"), ("AIP_HEALTH_ROUTE", "health"), ("AIP_PREDICT_ROUTE", "/{model}"),
    ("AIP_PREDICT_ROUTE", "/:model"), ("AIP_PREDICT_ROUTE", "/**"),
])
def test_a_platforms_variable_that_makes_no_sense_is_one_clear_error(apus, name, value):
    result = subprocess.run([apus, "serve", "--no-self-test"], env={name: value}, capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and name in result.stderr and value in result.stderr, result
    assert len(result.stderr.splitlines()) == 1


def test_a_service_named_apus_does_not_choose_the_port(apus, start_server):
    port = free_port()
    server = start_server(env={"APUS_PORT": "tcp://10.0.0.1:7860", "AIP_HTTP_PORT": str(port)}, port=None)
    server.assert_answers()
    lines = [line for line in server.log().splitlines() if "APUS_PORT" in line]
    assert len(lines) == 1 and "tcp://10.0.0.1:7860" in lines[0] and "Kubernetes" in lines[0]
    for wrong in ("tcp://", "tcp", "10.0.0.1:7860", "http://10.0.0.1"):
        result = subprocess.run(
            [apus, "serve", "--no-self-test"], env={"APUS_PORT": wrong}, capture_output=True, text=True, timeout=20)
        assert result.returncode == 2 and "APUS_PORT" in result.stderr, result


# Names

def tensor(name: str = "text") -> dict:
    return {"inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}


@pytest.mark.parametrize("name", ["text", "input-0", "TEXT", "input_text", "née", "x" * 300])
def test_the_one_input_may_have_any_name(server, name):
    answer = ask(server, tensor(name), f"/v2/models/{MODEL}/infer")
    assert answer["outputs"][0]["data"] == ["positive"]


@pytest.mark.parametrize("asked", [MODEL, WHOLE, WHOLE.replace("/", "%2F"), WHOLE.replace("/", "%2f")])
def test_the_model_is_found_by_its_name_and_by_its_whole_id(server, asked):
    with Connection(server.port) as connection:
        for path, body in ((f"/v2/models/{asked}/infer", tensor()), (f"/v1/models/{asked}:predict", {"instances": [TEXT]}),
                           (f"/v2/models/{asked}/versions/1/infer", tensor()), (f"/v2/models/{asked}", None),
                           (f"/v2/models/{asked}/ready?x=1", None), (f"/v2/models/{asked}/versions/1", None),
                           (f"/v1/models/{asked}", None)):
            answer = connection.exchange(request(path, body))
            assert answer.status == 200, (path, answer)


@pytest.mark.parametrize("asked", ["apus", "another/" + MODEL, WHOLE + "x", WHOLE + "/x", "apus%252F" + MODEL])
def test_part_of_an_id_or_more_than_it_is_another_model(server, asked):
    with Connection(server.port) as connection:
        assert connection.exchange(request(f"/v2/models/{asked}/infer", tensor())).status == 404


def test_the_operator_may_choose_the_models_name(start_server, apus):
    for server in (start_server("--model-name", "tweets"), start_server(env={"APUS_MODEL_NAME": "tweets"})):
        for name in ("tweets", MODEL, WHOLE):
            answer = ask(server, tensor(), f"/v2/models/{name}/infer")
            assert answer["model_name"] == "tweets" and answer["outputs"][0]["data"] == ["positive"]
        assert requests.get(server.url + "/v1/models", timeout=10).json() == {"models": ["tweets"]}
        assert requests.get(server.url + "/info", timeout=10).json()["served_model_name"] == "tweets"
    result = subprocess.run([apus, "serve", "--no-self-test", "--model-name", "a/b"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "--model-name" in result.stderr


def test_the_self_test_passes_with_a_chosen_name_and_paths(start_server):
    start_server("--model-name", "tweets", self_test=True, env={"AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict"})


# Fields of other servers

def by_label(rows: list[dict]) -> dict[str, float]:
    return {row["label"]: row["score"] for row in rows}


def test_raw_scores_are_logits_in_every_form(server):
    probabilities = ask(server, {"text": TEXT})["scores"]
    raw = by_label(ask(server, {"inputs": TEXT, "raw_scores": True}))
    exponentials = {label: np.exp(value) for label, value in raw.items()}
    for label, value in exponentials.items():
        assert abs(value / sum(exponentials.values()) - probabilities[label]) < 1e-5
    assert by_label(ask(server, {"inputs": TEXT, "parameters": {"function_to_apply": "none"}})[0]) == raw
    for body in ({"text": TEXT}, {"texts": [TEXT]}, {"instances": [TEXT]}):
        answer = ask(server, body | {"raw_scores": True})
        answer = answer["predictions"][0] if "predictions" in answer else answer
        assert answer["scores"] == raw and answer["label"] == "positive" and answer["score"] == raw["positive"]
    assert by_label(ask(server, {"inputs": TEXT, "raw_scores": False})) == probabilities
    assert ask(server, {"instances": [TEXT], "parameters": {"function_to_apply": "none"}})["predictions"][0]["scores"] == raw


@pytest.mark.parametrize("field", ["truncation_direction", "truncation_side"])
def test_a_long_text_is_cut_where_the_request_says(server, field):
    usual = ask(server, {"text": LONG})
    for value in ("Left", "left"):
        left = ask(server, {"text": LONG, field: value})
        assert left["label"] == "negative" and left != usual
        assert ask(server, {"inputs": LONG, "parameters": {field: value}})[0][0]["label"] == "negative"
    for value in ("Right", "right", None):
        assert ask(server, {"text": LONG, field: value}) == usual
    assert usual["label"] == "positive"
    assert ask(server, {"text": TEXT, field: "Left"}) == ask(server, {"text": TEXT}), "a short text is not cut"
    for wrong in ("up", 1, True, [], {}):
        assert field in message(server, {"text": LONG, field: wrong})


def test_who_says_where_to_cut_gets_no_windows(start_server):
    server = start_server("--long-texts", "windows")
    assert ask(server, {"text": LONG})["windows"] > 1
    assert "windows" not in ask(server, {"text": LONG, "truncation_side": "left"})


@pytest.mark.parametrize("field", ["truncate", "truncation", "parameters.truncate", "parameters.truncation"])
def test_a_long_text_is_refused_where_the_request_says(server, field):
    *parents, name = field.split(".")
    for form in ("text", "texts", "inputs", "instances"):
        texts = LONG if form in ("text", "inputs") else [LONG]
        body = {form: texts} | ({"parameters": {name: False}} if parents else {name: False})
        assert form in message(server, body) and "512" in message(server, body)


@pytest.mark.parametrize("body, named", [
    ({"text": TEXT, "max_length": 8}, "max_length"),
    ({"inputs": TEXT, "parameters": {"max_length": 8}}, "parameters.max_length"),
    ({"inputs": TEXT, "parameters": {"candidate_labels": ["a", "b"]}}, "parameters.candidate_labels"),
    ({"texts": [TEXT], "parameters": {"top_k": 1}}, "parameters.top_k"),
    ({"text": TEXT, "return_all_scores": False}, "return_all_scores"),
    ({"inputs": TEXT, "raw_scores": 1}, "raw_scores"),
    ({"inputs": TEXT, "raw_scores": True, "parameters": {"function_to_apply": "softmax"}}, "parameters.function_to_apply"),
    ({"inputs": TEXT, "truncate": True, "truncation": False}, "truncation"),
    ({"inputs": TEXT, "truncation_side": "left", "truncation_direction": "Right"}, "truncation_side"),
], ids=str)
def test_a_field_that_cannot_be_honoured_is_refused_by_its_name(server, body, named):
    assert f'"{named}"' in message(server, body)


def test_fields_that_change_nothing_are_ignored(server):
    plain = ask(server, {"inputs": TEXT})
    for more in ({"normalize": True}, {"options": {"wait_for_model": True, "use_cache": False}}, {"padding": True},
                 {"model": MODEL}, {"model": None}, {"max_length": None}, {"return_all_scores": True}):
        assert ask(server, {"inputs": TEXT} | more) == plain
    assert len(ask(server, {"inputs": TEXT, "return_all_scores": False})) == 1


@pytest.mark.parametrize("path, body", [
    ("/predict", {"text": TEXT}), ("/invocations", {"inputs": TEXT}), (f"/v1/models/{MODEL}:predict", {"instances": [TEXT]}),
    (f"/v2/models/{MODEL}/infer", tensor()),
])
def test_a_byte_order_mark_before_the_body_is_skipped(server, path, body):
    headers = {"Content-Type": "application/json"}
    marked = requests.post(server.url + path, data=json.dumps(body).encode("utf-8-sig"), headers=headers, timeout=10)
    assert marked.status_code == 200 and marked.json() == ask(server, body, path)
    for wrong in (b"\xef\xbb{}", b"\xef\xbb\xbf" * 2 + b"{}", b"\xef\xbb\xbf"):
        assert requests.post(server.url + path, data=wrong, headers=headers, timeout=10).status_code == 400


# Lines of JSON

def test_a_line_of_json_is_one_line_for_python_too(apus, tmp_path):
    text = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei\rj 😨 é"
    record = {"text": text, "other": text, "nested": {"a\u2028": [text, {"b": text}]}}
    for name, content in (("in.jsonl", json.dumps(record, ensure_ascii=False)),
                          ("in.json", json.dumps([record], ensure_ascii=False, indent=2))):
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        output = subprocess.run([apus, "predict", "--input", tmp_path / name, "--output-format", "jsonl"],
                                capture_output=True, check=True).stdout.decode()
        lines = output.splitlines()
        assert len(lines) == 1, lines
        answer = json.loads(lines[0])
        assert {field: answer[field] for field in record} == record
    tokens = subprocess.run([apus, "tokenize", text], capture_output=True, check=True).stdout.decode()
    assert len(tokens.splitlines()) == 1


def test_the_servers_json_is_one_line_for_python_too(start_server):
    server = start_server("--log-format", "json")
    with Connection(server.port) as connection:
        answer = connection.exchange(request("/v2/models/a%E2%80%A8b%C2%85c/infer", tensor()))
        assert answer.status == 404 and len(answer.body.decode().splitlines()) == 1
    until(lambda: any(record.get("path", "").startswith("/v2") for record in server.log_records()), "the line of the request")
    assert all(json.loads(line) for line in server.log().splitlines())


# Offers of HTTP/2

OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}


def test_curl_keeps_its_connection_where_it_offers_http_2(server):
    url = server.url + "/predict"
    command = ["curl", "-sS", "--max-time", "10", "--noproxy", "*", "--http2", "--json", json.dumps({"text": TEXT})]
    for _ in range(3):
        command += ["-o", "/dev/null", url]
    command += ["-w", "%{num_connects} %{http_code} %{http_version}\n"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert written.split() == ["1", "200", "1.1", "0", "200", "1.1", "0", "200", "1.1"]


JAVA = """
import java.net.URI;
import java.net.http.*;
import java.util.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 5; i++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0])).header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\\"text\\":\\"I love MLOps\\"}")).build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
"""


def test_javas_client_gets_its_answers_over_one_connection(start_server, tmp_path):
    source = tmp_path / "Ask.java"
    source.write_text(JAVA, encoding="utf-8")
    server = start_server()
    before = server.metrics().value("http_requests_total", handler="/predict", status="200")
    try:
        result = subprocess.run(["java", source, server.url + "/predict"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no Java: apt-get install default-jre-headless")
    if "compiler" in result.stderr:
        pytest.skip("this Java compiles nothing: apt-get install default-jre-headless")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 5 and all(line.startswith('200 HTTP_1_1 {"label":"positive"') for line in lines), lines
    assert server.metrics().value("http_requests_total", handler="/predict", status="200") == before + 5


NODE = """
(async () => {
    for (let i = 0; i < 3; i++) {
        const answer = await fetch(process.argv[1], {
            method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({text: "I love MLOps"})});
        console.log(answer.status, JSON.stringify(await answer.json()));
    }
})();
"""


def test_nodes_fetch_gets_its_answers(server):
    try:
        result = subprocess.run(["node", "-e", NODE, server.url + "/predict"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no Node: apt-get install nodejs")
    assert result.returncode == 0, result.stderr
    expected = ask(server, {"text": TEXT})
    lines = [line.split(" ", 1) for line in result.stdout.splitlines()]
    assert [(status, json.loads(body)) for status, body in lines] == [("200", expected)] * 3


def test_many_offers_on_one_connection_are_declined_one_by_one(server):
    with Connection(server.port) as connection:
        for number in range(20):
            path, body = ("/predict", {"text": f"I love number {number}"}) if number % 2 else ("/health", None)
            answer = connection.exchange(request(path, body, headers=OFFER))
            assert answer.status == 200 and answer.headers.get("connection") != "close", answer
        assert connection.exchange(request("/health")).status == 200


def test_what_follows_an_offer_at_once_is_read_as_http_1_1(server):
    offer = request("/predict", {"text": TEXT}, headers=OFFER)
    plain = request("/predict", {"text": "I hate it"})
    for data, count in ((offer + plain, 2), (offer + offer + plain, 3), (offer * 5, 5)):
        for pieces in (1, 7):
            with Connection(server.port) as connection:
                size = len(data) // pieces + 1
                for start in range(0, len(data), size):
                    connection.send(data[start:start + size])
                    if pieces > 1:
                        time.sleep(0.01)
                answers = [connection.answer() for _ in range(count)]
                assert [answer.status for answer in answers] == [200] * count
                labels = ["positive"] * (count if data == offer * 5 else count - 1) + ["negative"]
                assert [answer.json()["label"] for answer in answers] == labels[:count]


def test_an_offer_followed_by_what_is_no_http_is_answered_then_refused(server):
    with Connection(server.port) as connection:
        connection.send(request("/predict", {"text": TEXT}, headers=OFFER) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert connection.answer().status == 200
        assert connection.answer().status == 400
        assert connection.is_closed()


@pytest.mark.parametrize("headers", [
    {"Upgrade": "websocket", "Connection": "Upgrade"}, {"Upgrade": "h2c"}, {"Upgrade": "h2c, websocket", "Connection": "Upgrade"},
    {"Upgrade": "h2c", "Connection": "Upgrade foo"}, {"Upgrade": "h2c", "Connection": "close, Upgrade"},
], ids=str)
def test_any_other_offer_is_declined_and_ends_the_connection(server, headers):
    with Connection(server.port) as connection:
        answer = connection.exchange(request("/predict", {"text": TEXT}, headers=headers))
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert connection.is_closed()
