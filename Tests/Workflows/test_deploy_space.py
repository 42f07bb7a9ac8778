"""deploy_space.sh with the real hf against a fake Space that runs real servers: it deploys, sees what is wrong, goes back."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from apus_server import Server
from fake_space_hub import SPACE, FakeSpaceHub, Files
from places import SCRIPTS

OLD, NEW, OTHER, BROKEN = (f"ghcr.io/founders/apus@sha256:{digit * 64}" for digit in "0123")
README = b"---\ntitle: Apus\nsdk: docker\napp_port: 7860\n---\nThe old one.\n"
BEFORE: Files = {".gitattributes": b"*.bin filter=lfs\n", "README.md": README, "Dockerfile": f"FROM {OLD}\n".encode(),
                 "notes/only in the old one.txt": b"notes\n"}
QUICKLY = {"SPACE_TIMEOUT": 30, "SPACE_SETTLE": 2, "SPACE_POLL": 0.2}
LAG = {"SPACE_SETTLE": 6}  # longer than the Hub lags behind in these tests
LAG_SECONDS = 2.5
CANCELLED_JOB_SECONDS = 10  # from GitHub's SIGINT to its SIGKILL


@pytest.fixture
def options() -> dict[str, list[str]]:
    """Of the images' servers. Other models are told apart by their precision, which costs less than another model."""
    return {OLD: ["--precision", "f32"], NEW: [], OTHER: ["--precision", "f32"]}


@pytest.fixture
def hub(apus: Path, options: dict[str, list[str]]) -> Iterator[FakeSpaceHub]:

    def run(image: str, port: int) -> Server:
        if image not in options:
            raise RuntimeError(f"{image} does not start")
        return Server(apus, *options[image], port=port)

    hub = FakeSpaceHub(BEFORE, run)
    yield hub
    hub.close()


@pytest.fixture
def deploy(run_script, hub: FakeSpaceHub) -> Callable:
    return lambda *arguments, env=None: run_script("deploy_space.sh", SPACE, *arguments, env=hub.environment | QUICKLY | (env or {}))


def precision(hub: FakeSpaceHub) -> str:
    return requests.get(hub.environment["SPACE_URL"] + "/status", timeout=10).json()["precision"]


def test_a_good_image_is_deployed(deploy, hub, outputs):
    assert precision(hub) == "f32"
    result = deploy(NEW, "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert precision(hub) == "int8"
    assert len(hub.commits) == 2 and NEW in hub.head.message
    assert set(hub.head.files) == {".gitattributes", "README.md", "Dockerfile"}, "what the old one left behind is gone"
    assert hub.head.files["Dockerfile"].splitlines()[-1] == f"FROM {NEW}".encode()
    assert b"sdk: docker" in hub.head.files["README.md"] and b"app_port: 7860" in hub.head.files["README.md"]
    assert outputs()["space_commit"] == hub.head.id


def test_an_image_that_is_another_than_was_meant_is_taken_back(deploy, hub):
    result = deploy(OTHER, "--precision", "int8", env={"SPACE_TIMEOUT": 4})
    assert result.returncode == 1 and "its precision is f32, not int8" in result.stderr, result.everything
    assert_back(hub, result)


def test_an_image_that_does_not_start_is_taken_back(deploy, hub):
    result = deploy(BROKEN)
    assert result.returncode == 1, result.everything
    assert_back(hub, result)
    assert precision(hub) == "f32"


def assert_back(hub: FakeSpaceHub, result) -> None:
    assert len(hub.commits) == 3, [commit.message for commit in hub.commits]
    assert hub.head.files == BEFORE, "every file, and no other"
    assert "runs what it ran before" in result.stderr, result.everything
    assert hub.stage == "RUNNING"
    assert requests.get(hub.environment["SPACE_URL"] + "/health/ready", timeout=10).status_code == 200


def test_an_old_one_that_was_broken_already_is_said_aloud(deploy, hub):
    hub.commit(BEFORE | {"Dockerfile": f"FROM {BROKEN}\n".encode()}, "Somebody broke it").join()
    result = deploy(BROKEN.replace("3", "4"))
    assert result.returncode == 1 and "LOOK AT IT" in result.stderr, result.everything


def test_an_upload_that_is_refused_leaves_the_space_alone(deploy, hub):
    hub.refuses_uploads = True
    result = deploy(NEW)
    assert result.returncode == 1 and "is as it was" in result.stderr, result.everything
    assert len(hub.commits) == 1 and precision(hub) == "f32"


def test_the_same_image_again_is_no_failure(deploy, hub):
    assert deploy(NEW).returncode == 0
    result = deploy(NEW, "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert len(hub.commits) == 2


def test_where_nothing_was_changed_there_is_nothing_to_go_back_to(deploy, hub):
    assert deploy(NEW).returncode == 0
    hub.requests.clear()
    result = deploy(NEW, "--precision", "f32", env={"SPACE_TIMEOUT": 3})
    assert result.returncode == 1 and "had these files already" in result.stderr, result.everything
    assert len(hub.commits) == 2 and "going back" not in result.stderr
    assert len([path for _, path in hub.requests if "/preupload/" in path]) == 1, "one upload, and none of the old files"


# What the Hub says

def test_a_question_that_the_hub_does_not_answer_is_asked_again(deploy, hub):
    hub.statuses_after_upload = {"runtime": [500, 429, 503]}
    result = deploy(NEW, "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert hub.statuses_after_upload == {"runtime": []} and len(hub.commits) == 2


@pytest.mark.parametrize("failures", [2, 3], ids=["for a moment", "for long"])
def test_a_commit_that_the_hub_does_not_tell_ends_nothing(deploy, hub, failures):
    hub.statuses_after_upload = {"sha": [500] * failures}
    result = deploy(NEW, "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert hub.statuses_after_upload == {"sha": []} and precision(hub) == "int8"


def test_a_commit_that_the_hub_does_not_tell_counts_as_a_change(deploy, hub):
    hub.statuses_after_upload = {"sha": [500] * 3}
    result = deploy(BROKEN)
    assert result.returncode == 1, result.everything
    assert_back(hub, result)


@pytest.mark.parametrize(("files", "stage"), [
    pytest.param({}, "NO_APP_FILE", id="the first deployment"),
    pytest.param({"Dockerfile": f"FROM {BROKEN}\n".encode()}, "BUILD_ERROR", id="a repair"),
])
def test_the_bad_stage_of_before_the_upload_is_not_taken_for_the_new_images(deploy, hub, files, stage):
    hub.commit({"README.md": README} | files, "There is no old one").join()
    hub.stage = stage
    hub.lag_seconds = LAG_SECONDS
    result = deploy(NEW, "--precision", "int8", env=LAG)
    assert result.returncode == 0, result.everything
    assert precision(hub) == "int8"


def test_the_bad_stage_of_a_failed_image_is_not_taken_for_the_old_ones(deploy, hub):
    hub.lag_seconds = LAG_SECONDS
    result = deploy(BROKEN, env=LAG)
    assert result.returncode == 1 and "stays at the stage RUNTIME_ERROR" in result.stderr, result.everything
    assert_back(hub, result)


def test_a_space_that_sleeps_is_woken(deploy, hub):
    hub.falls_asleep = True
    result = deploy(NEW, "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert precision(hub) == "int8"


# What puts the old one back

def test_a_bad_image_that_starts_late_does_not_pass_for_the_old_one(deploy, hub):
    hub.late, hub.build_seconds = {NEW}, 2.5
    result = deploy(NEW, "--precision", "f32", env={"SPACE_TIMEOUT": 8})
    assert result.returncode == 1 and precision(hub) == "f32", result.everything
    assert hub.ran == [OLD, NEW, OLD], "it was up after the upload of the old one, and before the old one"
    assert_back(hub, result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_job_that_is_cancelled_while_it_waits_puts_the_old_one_back_in_time(hub, environment, tmp_path, number):
    command = [SCRIPTS / "deploy_space.sh", SPACE, OTHER, "--precision", "int8"]
    variables = environment | hub.environment | {name: str(value) for name, value in QUICKLY.items()}
    with open(tmp_path / "said", "w+") as said:
        script = subprocess.Popen(command, env=variables, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # CI may ignore it.
        deadline = time.monotonic() + 60
        while not (len(hub.commits) == 2 and hub.stage == "RUNNING"):
            assert script.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(2)  # It is in a check, which lasts 20 s.
        script.send_signal(number)
        assert script.wait(CANCELLED_JOB_SECONDS) == 130
        said.seek(0)
        assert "stopped; " in said.read()
    assert hub.head.files == BEFORE and len(hub.commits) == 3


# A server with a key

def test_a_server_that_asks_for_a_key_is_given_it(deploy, hub, options):
    options[NEW] = ["--api-key", "key-of-the-server"]
    result = deploy(NEW, "--precision", "int8", env={"DEPLOYMENT_TOKEN": "key-of-the-server"})
    assert result.returncode == 0 and "key-of-the-server" not in result.everything, result.everything


def test_an_image_without_a_digest_is_refused(deploy, hub):
    result = deploy("ghcr.io/founders/apus:latest")
    assert result.returncode == 2 and "digest" in result.stderr, result.everything
    assert len(hub.commits) == 1


def test_a_space_that_cannot_be_read_is_refused(deploy):
    result = deploy(NEW, env={"HF_TOKEN": "hf_another"})
    assert result.returncode == 2 and "cannot be read" in result.stderr, result.everything


def test_the_token_is_shown_nowhere(deploy, hub):
    result = deploy(NEW)
    assert hub.environment["HF_TOKEN"] not in result.everything
