"""What speaks to a sentiment server in the field, spoken by the real clients: the same text, the very same scores."""

from __future__ import annotations

import asyncio
import json
import subprocess

import numpy as np
import pytest
import requests
import tritonclient.http
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from httpx import HTTPStatusError
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient.utils import InferenceServerException

MODEL = "minilm-l6-tweet-sentiment"
LABELS = ["negative", "neutral", "positive"]
TEXTS = ["I love MLOps", "I hate Mondays 😠", "it is tuesday", "née à Zürich, “quoted” \\ and\ttabbed\nand 日本語"]


@pytest.fixture(scope="module")
def expected(predictions_of) -> dict[str, dict]:
    return predictions_of(TEXTS)


def ranked(prediction: dict, top: int = 3) -> list[dict]:
    """A prediction as text-embeddings-inference and Hugging Face answer it."""
    scores = [{"label": label, "score": score} for label, score in prediction["scores"].items()]
    return sorted(scores, key=lambda element: -element["score"])[:top]


def logits(prediction: dict) -> np.ndarray:
    """The logits, but for a constant that is added to all."""
    return np.log([prediction["scores"][label] for label in LABELS])


# Hugging Face's inference client

def test_hugging_face_client_gets_the_scores(server, expected):
    client = InferenceClient(model=server.url)
    for text in TEXTS:
        answer = client.text_classification(text)
        assert [{"label": element.label, "score": element.score} for element in answer] == ranked(expected[text])


@pytest.mark.parametrize("top", [1, 2, 3, 10])
def test_hugging_face_client_gets_the_best_labels_only(server, expected, top):
    answer = InferenceClient(model=server.url).text_classification(TEXTS[0], top_k=top)
    assert [{"label": element.label, "score": element.score} for element in answer] == ranked(expected[TEXTS[0]], top)


def test_hugging_face_client_may_choose_the_function(server, expected):
    client = InferenceClient(model=server.url)

    def scores(function: str) -> np.ndarray:
        answer = client.text_classification(TEXTS[0], function_to_apply=function)
        assert [element.score for element in answer] == sorted((element.score for element in answer), reverse=True)
        by_label = {element.label: element.score for element in answer}
        return np.array([by_label[label] for label in LABELS])

    raw = scores("none")
    np.testing.assert_array_equal(scores("softmax"), [expected[TEXTS[0]]["scores"][label] for label in LABELS])
    np.testing.assert_allclose(scores("sigmoid"), 1 / (1 + np.exp(-raw)), rtol=1e-5)
    np.testing.assert_allclose(raw - raw[0], logits(expected[TEXTS[0]]) - logits(expected[TEXTS[0]])[0], atol=1e-4)


def test_hugging_face_clients_token_is_the_api_key(start_server, expected):
    server = start_server("--api-key", "hf_right")
    answer = InferenceClient(model=server.url, token="hf_right").text_classification(TEXTS[0])
    assert answer[0].score == expected[TEXTS[0]]["score"]
    with pytest.raises(HfHubHTTPError) as refused:
        InferenceClient(model=server.url, token="hf_wrong").text_classification(TEXTS[0])
    assert refused.value.response.status_code == 401


# text-embeddings-inference's forms

def test_text_embeddings_inference_forms_are_answered_in_kind(server, expected):
    def ask(body: dict) -> list:
        answer = requests.post(server.url + "/predict", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    all_ranked = [ranked(expected[text]) for text in TEXTS]
    assert ask({"inputs": TEXTS[0]}) == all_ranked[0]
    assert ask({"inputs": TEXTS}) == all_ranked
    assert ask({"inputs": [[text] for text in TEXTS]}) == all_ranked
    assert ask({"inputs": TEXTS[0], "truncate": True}) == all_ranked[0]
    assert ask({"inputs": TEXTS[0], "parameters": {}}) == [all_ranked[0]]


def test_a_pair_of_texts_is_judged_together_in_each_of_its_forms(server):
    def ask(body: dict) -> object:
        answer = requests.post(server.url + "/predict", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def of(rows: list[dict]) -> dict[str, float]:
        return {row["label"]: row["score"] for row in rows}

    pair = {"text": "I love it", "text_pair": "It is the worst film ever"}
    together = ask(pair)["scores"]
    assert together != ask({"text": pair["text"]})["scores"], "the second text says something"
    assert of(ask({"inputs": pair})) == together
    assert [of(rows) for rows in ask({"inputs": [pair, [*pair.values()], [pair["text"]]]})] == [
        together, together, ask({"text": pair["text"]})["scores"]]
    assert len(ask({"inputs": [*pair.values()]})) == 2, "a flat list is of texts"
    answer = requests.post(server.url + "/predict", json={"inputs": [["one", "two", "three"]]}, timeout=10)
    assert answer.status_code == 422 and "inputs[0]" in answer.json()["error"]["message"]


# tritonclient

@pytest.fixture
def triton(server):
    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def triton_input(texts: list[str], binary: bool, datatype: str = "BYTES", column: bool = False):
    values = np.array([text.encode() for text in texts], dtype=np.object_)
    if column:
        values = values.reshape(-1, 1)
    tensor = tritonclient.http.InferInput("text", list(values.shape), datatype)
    if datatype == "BYTES":
        tensor.set_data_from_numpy(values, binary_data=binary)
    else:
        tensor.set_data_from_numpy(np.zeros(values.shape, np.float32), binary_data=binary)
    return [tensor]


def assert_tensors(result, texts: list[str], expected: dict[str, dict]) -> None:
    """`result` has as_numpy(name), as the clients of the Open Inference Protocol do."""
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label").flatten()]
    assert labels == [expected[text]["label"] for text in texts]
    score = np.array([expected[text]["score"] for text in texts], np.float32)
    scores = np.array([[expected[text]["scores"][label] for label in LABELS] for text in texts], np.float32)
    np.testing.assert_array_equal(result.as_numpy("score").astype(np.float32), score)
    np.testing.assert_array_equal(result.as_numpy("scores").astype(np.float32), scores)


def test_triton_client_finds_the_server_and_its_model(triton):
    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready(MODEL)
    assert not triton.is_model_ready("another")
    metadata = triton.get_server_metadata()
    assert metadata["name"] == "apus" and metadata["version"] and "binary_tensor_data" in metadata["extensions"]
    model = triton.get_model_metadata(MODEL)
    assert model == {
        "name": MODEL, "versions": ["1"], "platform": "apus",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [-1]},
                    {"name": "score", "datatype": "FP32", "shape": [-1]},
                    {"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }


@pytest.mark.parametrize("binary_in", [False, True], ids=["json in", "binary in"])
@pytest.mark.parametrize("binary_out", [False, True, None], ids=["json out", "binary out", "outputs not named"])
def test_triton_client_gets_the_scores(triton, expected, binary_in, binary_out):
    outputs = None
    if binary_out is not None:
        outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=binary_out)
                   for name in ("label", "score", "scores")]
    for texts in (TEXTS[:1], TEXTS):
        result = triton.infer(MODEL, triton_input(texts, binary_in), outputs=outputs, request_id="mine")
        assert_tensors(result, texts, expected)
        assert result.get_response()["id"] == "mine" and result.get_response()["model_name"] == MODEL


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_client_may_compress_what_it_sends(triton, expected, algorithm):
    for binary in (False, True):
        result = triton.infer(MODEL, triton_input(TEXTS, binary), request_compression_algorithm=algorithm)
        assert_tensors(result, TEXTS, expected)


def test_triton_client_may_send_a_column(triton, expected):
    for binary in (False, True):
        assert_tensors(triton.infer(MODEL, triton_input(TEXTS, binary, column=True)), TEXTS, expected)


def test_triton_client_gets_only_the_outputs_it_names(triton):
    outputs = [tritonclient.http.InferRequestedOutput("score", binary_data=True)]
    result = triton.infer(MODEL, triton_input(TEXTS, True), outputs=outputs)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["score"]


def test_triton_client_is_told_what_is_wrong(triton):
    def refusal(model: str = MODEL, inputs=None, **arguments) -> InferenceServerException:
        with pytest.raises(InferenceServerException) as refused:
            triton.infer(model, inputs or triton_input(TEXTS, True), **arguments)
        return refused.value

    wrong_model = refusal("another")
    assert wrong_model.status() == "404" and "another" in wrong_model.message()
    for binary in (False, True):
        wrong_type = refusal(inputs=triton_input(TEXTS, binary, datatype="FP32"))
        assert wrong_type.status() in ("400", "422") and "FP32" in wrong_type.message() and "BYTES" in wrong_type.message()
    output = refusal(outputs=[tritonclient.http.InferRequestedOutput("mood")])
    assert output.status() in ("400", "422") and "mood" in output.message()
    version = refusal(model_version="7")
    assert version.status() == "404"


# kserve

def kserve(call):
    """Runs `call(client)`, a coroutine."""
    async def run():
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=10)) as client:
            return await call(client)
    return asyncio.run(run())


def kserve_request(texts: list[str], binary: bool) -> InferRequest:
    tensor = InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_), binary_data=binary)
    return InferRequest(model_name=MODEL, infer_inputs=[tensor])


class KServeTensors:
    def __init__(self, response):
        self.tensors = {output.name: output.as_numpy() for output in response.outputs}

    def as_numpy(self, name: str) -> np.ndarray:
        return self.tensors[name]


def test_kserve_client_finds_the_server_and_its_model(server):
    assert kserve(lambda client: client.is_server_live(server.url)) is True
    assert kserve(lambda client: client.is_server_ready(server.url)) is True
    assert kserve(lambda client: client.is_model_ready(server.url, MODEL)) is True
    assert kserve(lambda client: client.is_model_ready(server.url, "another")) is False


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_kserve_client_gets_the_scores(server, expected, binary):
    request = kserve_request(TEXTS, binary)
    assert_tensors(KServeTensors(kserve(lambda client: client.infer(server.url, request, MODEL))), TEXTS, expected)


def test_kserve_client_is_told_what_is_wrong(server):
    with pytest.raises(HTTPStatusError, match="another.*404"):
        kserve(lambda client: client.infer(server.url, kserve_request(TEXTS, False), "another"))
    wrong = {"inputs": [{"name": "text", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
    with pytest.raises(HTTPStatusError, match="FP32"):
        kserve(lambda client: client.infer(server.url, wrong, MODEL))


# curl

def curl(*arguments: str, input: str | None = None) -> str:
    command = ["curl", "-sS", "--max-time", "10", "--noproxy", "*", *arguments]
    return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout


def test_curl_gets_all_three_forms_as_the_readme_has_it(server, expected):
    url = f"127.0.0.1:{server.port}/predict"
    text = TEXTS[0]
    assert json.loads(curl("--json", "@-", url, input=json.dumps({"text": text}))) == expected[text]
    several = json.loads(curl("--json", "@-", url, input=json.dumps({"texts": TEXTS})))
    assert several == {"predictions": [expected[text] for text in TEXTS]}
    assert json.loads(curl("--json", json.dumps({"inputs": text}), url)) == ranked(expected[text])


def test_curl_may_send_to_the_root_as_well(server, expected):
    assert json.loads(curl("--json", json.dumps({"text": TEXTS[0]}), server.url)) == expected[TEXTS[0]]


def test_curl_may_send_a_file(server, expected, tmp_path):
    file = tmp_path / "texts.json"
    file.write_text(json.dumps({"texts": TEXTS}, indent=4), encoding="utf-8")
    answer = curl("--json", f"@{file}", server.url + "/predict")
    assert json.loads(answer)["predictions"][0] == expected[TEXTS[0]]


def test_curl_speaks_http_1_0(server, expected):
    answer = curl("-0", "-i", "--json", json.dumps({"text": TEXTS[0]}), server.url + "/predict")
    head, _, body = answer.partition("\n\n" if "\n\n" in answer else "\r\n\r\n")
    assert " 200 " in head and "chunked" not in head.lower() and json.loads(body) == expected[TEXTS[0]]


def test_curl_keeps_its_connection(server):
    url = server.url + "/predict"
    written = curl("--http1.1", "--json", json.dumps({"text": TEXTS[0]}), "-o", "/dev/null", "-o", "/dev/null",
                   "-o", "/dev/null", "-w", "%{num_connects} %{http_code}\n", url, url, url)
    assert written.split() == ["1", "200", "0", "200", "0", "200"]


def test_curl_need_not_wait_before_it_sends_a_megabyte(server):
    """It asks `Expect: 100-continue` first, and waits for a second where nobody says to go on."""
    body = json.dumps({"text": TEXTS[0]}) + " " * 1_500_000
    url = server.url + "/predict"
    status, seconds = curl("--json", "@-", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", url, input=body).split()
    assert status == "200" and float(seconds) < 0.9


def test_curl_gets_a_head_without_a_body(server):
    answer = curl("-I", server.url + "/status")
    assert " 200 " in answer.splitlines()[0] and "content-length" in answer.lower()


# All of them

def test_real_tweets_have_the_same_scores_from_the_server_and_from_apus_predict(server, data, predictions_of):
    lines = (data / "tweeteval-sentiment" / "test_text.txt").read_text(encoding="utf-8").split("\n")
    tweets = list(dict.fromkeys(line for line in lines if line))[:512]
    expected = predictions_of(tweets)
    for start in range(0, len(tweets), 128):
        texts = tweets[start:start + 128]
        answer = requests.post(server.url + "/predict", json={"texts": texts}, timeout=30).json()
        assert answer["predictions"] == [expected[text] for text in texts]
