"""deploy_space.sh with the real hf against a fake Space that runs real servers: it deploys, sees what is wrong, goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from fake_space_hub import SPACE, FakeSpaceHub, Files
from running_server import RunningServer

OLD, NEW, OTHER, BROKEN = (f"ghcr.io/founders/apus@sha256:{digit * 64}" for digit in "0123")
README = b"---\ntitle: Apus\nsdk: docker\napp_port: 7860\n---\nThe old one.\n"
BEFORE: Files = {".gitattributes": b"*.bin filter=lfs\n", "README.md": README, "Dockerfile": f"FROM {OLD}\n".encode(),
                 "notes/only in the old one.txt": b"notes\n"}
QUICKLY = {"SPACE_TIMEOUT": 30}


@pytest.fixture
def hub(apus: Path) -> Iterator[FakeSpaceHub]:
    # Other models are told apart by their precision, which costs less than another model.
    options = {OLD: ["--precision", "f32"], NEW: [], OTHER: ["--precision", "f32"]}

    def run(image: str, port: int) -> RunningServer:
        if image not in options:
            raise RuntimeError(f"{image} does not start")
        return RunningServer(apus, *options[image], port=port)

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
