"""Several models in one process, and models that are loaded, replaced and unloaded while others answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.http
from tritonclient.utils import InferenceServerException

from apus_server import Server, until
from supplies import SHIPPED, TINY, copy_of_shipped_model

DEFAULT = "minilm-l6-tweet-sentiment"
TEXT = "I love MLOps"


@pytest.fixture
def model_of(tmp_path: Path) -> Callable[..., Path]:
    """Makes a small model whose labels begin with a word, which tells whose answer one is."""

    def make(word: str, folder: str | None = None) -> Path:
        directory = tmp_path / (folder or word)
        shutil.copytree(TINY, directory, dirs_exist_ok=True)
        config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
        labels = {number: f"{word}-{number}" for number in config["id2label"]}
        config |= {"id2label": labels, "label2id": {label: int(number) for number, label in labels.items()}}
        # As a deployment does it: whoever has the old file open keeps it.
        (directory / "new").write_text(json.dumps(config), encoding="utf-8")
        (directory / "new").rename(directory / "config.json")
        return directory

    return make


def ask(server: Server, model: str | None = None, path: str = "/predict") -> requests.Response:
    body = {"text": TEXT} | ({"model": model} if model else {})
    return requests.post(server.url + path, json=body, timeout=30)


def word(answer: requests.Response) -> str:
    """Which model's answer it is, by its labels."""
    assert answer.status_code == 200, answer.text
    return answer.json()["label"].rsplit("-", 1)[0]


def identities(server: Server) -> dict[str, str]:
    return {model["name"]: f"{model['name']}@{model['model_digest'][:12]}" for model in server.status()["models"]}


def repository(server: Server, path: str, body: dict | None = None, **arguments) -> requests.Response:
    return requests.post(f"{server.url}/v2/repository/{path}", json=body, timeout=60, **arguments)


def client(server: Server) -> tritonclient.http.InferenceServerClient:
    return tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60)


def states(server: Server) -> dict[str, str]:
    return {row["name"]: row["state"] for row in client(server).get_model_repository_index()}


def failures(server: Server, reason: str) -> float:
    return server.metrics().value("apus_model_load_failures_total", reason=reason)


# Several models

def test_each_model_is_asked_by_its_name_and_every_answer_says_whose_it_is(start_server, model_of):
    server = start_server("--model", SHIPPED, "--model", f"a={model_of('red')}", "--model", f"b={model_of('blue')}")
    assert [model["name"] for model in server.status()["models"]] == [DEFAULT, "a", "b"]
    names = identities(server)
    assert len({name.split("@")[1] for name in names.values()}) == 3
    for asked, named in ((None, DEFAULT), (DEFAULT, DEFAULT), (SHIPPED, DEFAULT), ("a", "a"), ("b", "b"), ("blue", "b")):
        answer = ask(server, asked)
        assert answer.headers["X-Apus-Model"] == names[named], asked
        assert (word(answer) == {"a": "red", "b": "blue"}[named]) if named in "ab" else answer.json()["label"] == "positive"
    assert requests.get(server.url + "/v1/models", timeout=10).json() == {"models": [DEFAULT, "a", "b"]}
    for name in ("a", "b"):
        by_path = requests.post(f"{server.url}/v1/models/{name}:predict", json={"instances": [TEXT]}, timeout=10)
        assert by_path.headers["X-Apus-Model"] == names[name]
        assert by_path.json()["predictions"] == [ask(server, name).json()]
        triton = client(server)
        assert triton.is_model_ready(name) and triton.get_model_metadata(name)["name"] == name
        text = tritonclient.http.InferInput("text", [1], "BYTES")
        text.set_data_from_numpy(np.array([TEXT.encode()], dtype=object))
        assert triton.infer(name, [text]).as_numpy("label")[0].decode() == ask(server, name).json()["label"]
    # An error of a model's is the model's too.
    empty = requests.post(server.url + "/predict", json={"texts": ["a", TEXT * 100_000], "model": "a"}, timeout=10)
    assert empty.status_code == 422 and empty.headers["X-Apus-Model"] == names["a"]
    assert "X-Apus-Model" not in requests.get(server.url + "/status", timeout=10).headers


def test_models_that_are_not_there_are_a_404_that_lists_those_that_are(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--model", f"b={model_of('blue')}")
    for answer in (ask(server, "c"), requests.get(server.url + "/v1/models/c", timeout=10),
                   requests.get(server.url + "/v2/models/c/ready", timeout=10)):
        error = answer.json()["error"]
        message = error if isinstance(error, str) else error["message"]
        assert answer.status_code == 404 and 'this server has "a", "b"' in message, message
    for wrong in (5, [], {"a": 1}, True):
        answer = requests.post(server.url + "/predict", json={"text": TEXT, "model": wrong}, timeout=10)
        assert answer.status_code == 422 and "model" in answer.json()["error"]["message"]
    contradiction = requests.post(server.url + "/v1/models/a:predict", json={"text": TEXT, "model": "b"}, timeout=10)
    assert contradiction.status_code == 422
    assert '"b", but the path is "a"' in contradiction.json()["error"]["message"]


def test_figures_carry_the_models_name(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--model", f"b={model_of('blue')}")
    for count, name in ((3, "a"), (5, "b")):
        for _ in range(count):
            ask(server, name)
    metrics = server.metrics()
    for name, count, beginning in (("a", 3, "red"), ("b", 5, "blue")):
        for family in ("apus_predictions_total", "apus_batch_texts_count", "apus_queue_seconds_count"):
            assert metrics.value(family, model=name) == count
        assert {sample.labels["label"].split("-")[0] for sample in metrics.matching("apus_predictions_total", model=name)} == {
            beginning}
        [info] = metrics.matching("apus_model_info", model=name)
        assert f"{name}@{info.labels['model_digest'][:12]}" == identities(server)[name]


@pytest.mark.parametrize("rows, part", [
    ([{"name": "a", "model": "TINY"}, {"name": "a", "model": "TINY"}], 'has the name "a" again'),
    ([{"name": "a", "model": "TINY", "weight": "5%"}], '"weight"'),
    ([{"name": "a b", "model": "TINY"}], '"name"'),
    ([{"name": "a"}], '"model"'),
    ([{"name": "a", "model": "TINY", "precision": "int4"}], '"int4"'),
    ([{"name": "a", "model": "TINY", "text_preparation": "news"}], '"news"'),
    ([{"name": "a", "model": 1}], '"model"'),
    ([{"name": "a", "model": "/nowhere/at/all"}], "/nowhere/at/all"),
    ([], '"models"'), ("{", "not JSON"), (None, "cannot be read"),
])
def test_a_models_file_that_is_wrong_ends_the_start_with_its_place(apus, tmp_path, rows, part):
    file = tmp_path / "models.json"
    if rows is not None:
        file.write_text(rows if isinstance(rows, str) else json.dumps({"models": rows}).replace("TINY", str(TINY)))
    result = subprocess.run([apus, "serve", "--port", "0", "--models", file], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and part in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr


@pytest.mark.parametrize("options, part", [
    (["--model", f"a={TINY}", "--model", f"a={TINY}"], 'called "a"'),
    (["--model", str(TINY), "--model", str(TINY)], 'called "bert-tiny"'),
    (["--model", f"a={TINY}", "--model", f"b={TINY}", "--revision", "main"], "--revision"),
    (["--model", f"a={TINY}", "--model", f"b={TINY}", "--model-name", "c"], "--model-name"),
    (["--model", f"a={TINY}", "--model-name", "c"], "--model-name"),
    (["--model", str(TINY), "--models", "models.json"], "--models"),
])
def test_models_that_contradict_each_other_end_the_start(apus, options, part):
    result = subprocess.run([apus, "serve", "--port", "0", *options], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2 and part in result.stderr, result.stderr


# Loading over HTTP

def test_tritons_client_loads_lists_and_unloads(start_server, model_of):
    red = model_of("red")
    server = start_server("--model", f"a={red}", "--allow-load")
    triton = client(server)
    assert states(server) == {"a": "READY"}
    triton.load_model("b", config=json.dumps({"model": str(model_of("blue")), "precision": "f32"}))
    assert states(server) == {"a": "READY", "b": "READY"}
    assert word(ask(server, "b")) == "blue"
    assert {model["name"]: model["precision"] for model in server.status()["models"]} == {"a": "int8", "b": "f32"}
    # What its source has become meanwhile.
    before = identities(server)["a"]
    model_of("green", folder="red")
    triton.load_model("a")
    assert word(ask(server, "a")) == word(ask(server)) == "green" and identities(server)["a"] != before
    triton.unload_model("b")
    assert states(server) == {"a": "READY", "b": "UNAVAILABLE"} and not triton.is_model_ready("b")
    assert ask(server, "b").status_code == 404
    assert not server.metrics().matching("apus_model_info", model="b")
    assert not server.metrics().matching("apus_predictions_total", model="b")
    triton.load_model("b")
    assert word(ask(server, "b")) == "blue"
    with pytest.raises(InferenceServerException, match='no model "c"'):
        triton.load_model("c")
    with pytest.raises(InferenceServerException, match='no model "c"'):
        triton.unload_model("c")


def test_a_model_takes_anothers_place_from_another_directory(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--allow-load")
    answer = repository(server, "models/a/load", {"parameters": {"model": str(model_of("blue"))}})
    assert answer.status_code == 200 and answer.headers["X-Apus-Model"] == identities(server)["a"]
    assert word(ask(server)) == "blue"
    assert repository(server, "models/a/load").status_code == 200
    assert word(ask(server)) == "blue", "its source is the one that it was loaded from last"


def test_models_are_changed_by_nobody_without_the_option(server):
    for path in ("index", f"models/{DEFAULT}/load", f"models/{DEFAULT}/unload"):
        answer = repository(server, path)
        assert answer.status_code == 403 and "--allow-load" in answer.json()["error"]
    server.assert_answers()


def test_models_are_changed_from_this_machine_or_with_the_key(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--allow-load")
    for header in ({"Origin": "http://pages.example"}, {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}):
        assert repository(server, "models/a/unload", headers=header).status_code == 403, header
    assert states(server) == {"a": "READY"}
    locked = start_server("--model", f"a={model_of('red')}", "--allow-load", "--api-key", "key")
    for header, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Bearer key"}, 200)):
        assert repository(locked, "index", headers=header).status_code == status
    through_a_proxy = {"Authorization": "Bearer key", "X-Forwarded-For": "203.0.113.9"}
    assert repository(locked, "models/a/load", headers=through_a_proxy).status_code == 200


@pytest.mark.parametrize("body, status, reason, part", [
    ({"parameters": {"model": "/nowhere/at/all"}}, 422, "source", "/nowhere/at/all"),
    ({"parameters": {"model": "relative"}}, 422, "source", "begins with /"),
    ({"parameters": {"model": "/etc/hostname"}}, 422, "source", "begins with /"),
    ({"parameters": {"model": "org/not-in-the-cache"}}, 422, "source", "apus pull"),
    ({"parameters": {"model": "LOOP"}}, 422, "source", "begins with /"),
    ({"parameters": {"model": "EMPTY"}}, 422, "source", "config.json"),
    ({"parameters": {"model": "DAMAGED"}}, 422, "source", "model.safetensors"),
    ({"parameters": {"model": "WRONG"}}, 422, "self_test", "is wrong-label"),
    ({"parameters": {"share": "125%"}}, 422, "request", '"share"'),
    ({"parameters": {"precision": "int4"}}, 422, "request", '"int4"'),
    ({"parameters": {"file:1/model.onnx": "AAAA"}}, 422, "request", "file:1/model.onnx"),
])
def test_a_load_that_fails_leaves_what_is_there_and_says_why(start_server, model_of, tmp_path, body, status, reason, part):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "empty").mkdir()
    weights = model_of("damaged") / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:len(content) // 2])
    server = start_server("--model", f"a={model_of('red')}", "--allow-load")
    given = ask(server).json()["label"].split("-")[1]
    other = "0" if given != "0" else "1"
    (model_of("wrong") / "reference_texts.jsonl").write_text(json.dumps({"text": TEXT, "label": f"wrong-{other}"}) + "\n")
    part = part.replace("wrong-label", f"wrong-{other}")
    text = json.dumps(body)
    for name in ("LOOP", "EMPTY", "DAMAGED", "WRONG"):
        text = text.replace(name, str(tmp_path / name.lower()))
    before = identities(server)
    for name in ("a", "new"):
        answer = repository(server, f"models/{name}/load", json.loads(text))
        assert answer.status_code == status and part in answer.json()["error"], answer.text
    assert failures(server, reason) == 2
    assert identities(server) == before and word(ask(server)) == "red" and states(server) == {"a": "READY"}
    assert "was not loaded" in server.log() and reason in server.log()


@pytest.mark.parametrize("body, status", [
    (b"{", 400), (b"[]", 422), (b'{"parameters": 1}', 422), (b'{"parameters": {"config": "{"}}', 422),
    (b'{"parameters": {"config": {}}}', 422), (b'{"parameters": {"model": ""}}', 422), (b'{"parameters": {"model": null}}', 422),
])
def test_a_load_that_cannot_be_read_is_refused(start_server, body, status):
    server = start_server("--allow-load", "--model", str(TINY))
    answer = requests.post(f"{server.url}/v2/repository/models/bert-tiny/load", data=body, timeout=10)
    assert answer.status_code == status and "error" in answer.json(), answer.text
    answer = repository(server, "models/a%20b/load", {"parameters": {"model": str(TINY)}})
    assert answer.status_code == 422 and "is not a name" in answer.json()["error"]


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 400 MB; whoever is put there leaves it before the test ends."""
    for top, name in [(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")]:
        group = top / f"apus-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(400 << 20), encoding="ascii")
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group with a limit of memory can be made on this machine")


def test_a_model_that_memory_cannot_hold_is_refused_before_it_takes_any(small_group, start_server, model_of):
    big = model_of("big")
    # All of it zeros, which take no place on the disk.
    shape = [480, 1024, 1024]
    size = 2 * int(np.prod(shape))
    header = json.dumps({"w": {"dtype": "F16", "shape": shape, "data_offsets": [0, size]}}).encode("ascii")
    with (big / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    server = start_server("--model", str(model_of("small")), "--allow-load")
    (small_group / "cgroup.procs").write_text(str(server.process.pid), encoding="ascii")
    answer = repository(server, "models/big/load", {"parameters": {"model": str(big)}})
    assert answer.status_code == 422
    assert "its weights take 480 MB of memory as int8, and" in answer.text, answer.text
    assert f"the 400 MB that control group {small_group} may have" in answer.json()["error"]
    assert word(ask(server)) == "small"


def test_a_model_without_a_passed_gate_is_not_loaded_where_one_is_required(start_server, apus, tmp_path):
    server = start_server("--require-gate", "--allow-load")
    answer = repository(server, "models/new/load", {"parameters": {"model": str(copy_of_shipped_model(apus, tmp_path / "m"))}})
    assert answer.status_code == 422 and "evaluation_report.json" in answer.json()["error"]
    assert failures(server, "gate") == 1 and states(server) == {DEFAULT: "READY"}
    assert repository(server, f"models/{DEFAULT}/load").status_code == 200, "the shipped model passed its gate"


def test_a_server_whose_only_model_is_unloaded_is_not_ready_until_one_is_there(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--allow-load")
    assert repository(server, "models/a/unload").status_code == 200
    for path in ("/health/ready", "/health", "/ping", "/v2/health/ready", "/info"):
        assert requests.get(server.url + path, timeout=10).status_code == 503, path
    assert requests.get(server.url + "/health/live", timeout=10).status_code == 200
    answer = ask(server)
    assert answer.status_code == 503 and '"a" is not loaded' in answer.json()["error"]["message"]
    assert ask(server, "a").status_code == 404
    status = requests.get(server.url + "/status", timeout=10)
    assert status.status_code == 200 and status.json()["models"] == []
    for path in ("/metrics", "/openapi.json", "/docs", "/"):
        assert requests.get(server.url + path, timeout=10).status_code == 200, path
    assert repository(server, "models/b/load", {"parameters": {"model": str(model_of("blue"))}}).status_code == 200
    assert requests.get(server.url + "/health/ready", timeout=10).status_code == 200
    assert word(ask(server)) == "blue"


def test_a_default_that_is_unloaded_has_no_other_answer_in_its_place(start_server, model_of):
    server = start_server("--model", f"a={model_of('red')}", "--model", f"b={model_of('blue')}", "--allow-load")
    assert repository(server, "models/a/unload").status_code == 200
    assert ask(server).status_code == 503 and word(ask(server, "b")) == "blue"
    assert repository(server, "models/a/load").status_code == 200
    assert word(ask(server)) == "red"


def test_a_model_that_was_replaced_or_unloaded_is_freed(start_server, model_of):
    red, blue = model_of("red"), model_of("blue")
    server = start_server("--model", f"a={red}", "--allow-load")

    def mapped() -> set[str]:
        maps = Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
        return {directory.name for directory in (red, blue) if f"{directory}/model.safetensors" in maps}

    assert word(ask(server)) == "red" and mapped() == {"red"}
    assert repository(server, "models/a/load", {"parameters": {"model": str(blue)}}).status_code == 200
    assert word(ask(server)) == "blue"
    until(lambda: mapped() == {"blue"}, "the model that the server began with is gone")
    assert repository(server, "models/a/unload").status_code == 200
    until(lambda: mapped() == set(), "no model is there")


# SIGHUP

def test_a_hang_up_reads_the_models_file_again(start_server, model_of, tmp_path):
    file = tmp_path / "models.json"

    def write(*rows: tuple[str, Path], **more) -> None:
        file.write_text(json.dumps({"models": [{"name": name, "model": str(model)} | more for name, model in rows]}))

    red, blue, green = model_of("red"), model_of("blue"), model_of("green")
    write(("a", red), ("b", blue))
    server = start_server("--models", str(file))
    assert word(ask(server)) == "red"

    def hang_up() -> None:
        server.process.send_signal(signal.SIGHUP)

    write(("c", green), ("a", blue), precision="f32")
    hang_up()
    until(lambda: list(identities(server)) == ["c", "a"], "the new set is served", 20)
    assert (word(ask(server)), word(ask(server, "a")), ask(server, "b").status_code) == ("green", "blue", 404)
    assert not server.metrics().matching("apus_model_info", model="b")
    before, failed = identities(server), 0
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for reason, content in (
            ("source", {"models": [{"name": "x", "model": str(red)}, {"name": "y", "model": str(tmp_path / "loop")}]}),
            ("source", {"models": [{"name": "x", "model": str(red)}, {"name": "y", "model": "/nowhere/at/all"}]}),
            ("models_file", {"models": [{"name": "x", "model": str(red)}] * 2}), ("models_file", {"models": []}),
            ("models_file", {"models": [{"name": "x", "model": str(red), "share": "5%"}]}), ("models_file", None)):
        count = failures(server, reason)
        file.write_text(json.dumps(content)) if content else file.unlink()
        hang_up()
        until(lambda: failures(server, reason) == count + 1, f"{content} is refused", 20)
        failed += 1
        assert identities(server) == before and word(ask(server)) == "green", content
    assert server.log().count("was not loaded") == failed
    write(("d", red))
    hang_up()
    until(lambda: list(identities(server)) == ["d"], "a good file is read again", 20)
    assert word(ask(server)) == "red"


# Under load

def test_swaps_under_load_lose_no_request_and_mix_no_answers(start_server, model_of):
    directories = [model_of("red"), model_of("blue")]
    server = start_server("--model", f"a={directories[0]}", "--allow-load")
    swapped = threading.Event()

    def requests_until_the_end(_: int) -> list[tuple[str, str, int]]:
        seen = []
        with requests.Session() as session:
            while not swapped.is_set():
                answer = session.post(server.url + "/predict", json={"texts": [TEXT, "so so"]}, timeout=30)
                words = {row["label"].split("-")[0] for row in answer.json().get("predictions", [])}
                seen.append((answer.headers.get("X-Apus-Model", ""), "".join(sorted(words)), answer.status_code))
        return seen

    names = {}
    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(requests_until_the_end, number) for number in range(8)]
        try:
            for number in range(50):
                directory = directories[(number + 1) % 2]
                answer = repository(server, "models/a/load", {"parameters": {"model": str(directory)}})
                assert answer.status_code == 200, answer.text
                names[answer.headers["X-Apus-Model"]] = directory.name
        finally:
            swapped.set()
    assert len(names) == 2
    seen = [answer for client in clients for answer in client.result()]
    assert {status for _, _, status in seen} == {200}
    assert {(name, words) for name, words, _ in seen} == set(names.items()), "every answer is the model's that it names"
    assert server.rejected("queue_full") == 0
    until(lambda: server.metrics().value("apus_queue_depth") == 0, "nothing waits")
