"""Fixtures of the container's tests: the image, built from the Dockerfile with podman, and a registry of this machine.

    APUS_TEST_CONTAINER=1 make test-container      as root, on Debian; the first build takes ten minutes

Everything is kept in .build-container (APUS_CONTAINER_STORAGE names another place): the base images, so that a second run does
without debootstrap, and the layers.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import REPOSITORY, Container, Engine, Registry, wait_for

IMAGE = "localhost/apus:test"
NEEDED = ("podman", "runc", "debootstrap", "docker-registry", "docker")
BUILD_SECONDS = 3600
# `htpasswd -B` of Registry.password.
PASSWORDS = "founder:$2a$05$EIUz/aiTZjkrXTJ4Jc2v3uPyJlqIaapV8a8Oz8zZGUPWTPPAd/IZK\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = [name for name in NEEDED if not shutil.which(name)]
    if not os.environ.get("APUS_TEST_CONTAINER"):
        reason = "the image is built where APUS_TEST_CONTAINER is set: it takes ten minutes and 10 GB"
    elif os.geteuid() != 0 or lacking:
        reason = f"building images needs root and {', '.join(lacking or NEEDED)}"
    elif subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0:
        reason = "root may not mount on this machine, and containers need it"
    else:
        return
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> Engine:
    """With the base images that the Dockerfile names."""
    storage = Path(os.environ.get("APUS_CONTAINER_STORAGE", REPOSITORY / ".build-container"))
    home = tmp_path_factory.mktemp("home")
    (home / "auth.json").write_text("{}")
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    engine = Engine(kept | {"HOME": str(home), "APUS_CONTAINER_STORAGE": str(storage), "REGISTRY_AUTH_FILE": str(home / "auth.json"),
                            "CONTAINER_ENGINE": str(REPOSITORY / "Tests/Container/engine.sh")})
    result = engine.run([REPOSITORY / "Tests/Container/make_base_images.sh", storage], {}, 900)
    assert result.returncode == 0, result.stdout + result.stderr
    return engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    started = time.monotonic()
    result = engine.script("build_image.sh", IMAGE, timeout=BUILD_SECONDS)
    assert result.returncode == 0, result.everything[-20_000:]
    print(f"built in {time.monotonic() - started:.0f} s")
    return IMAGE


@pytest.fixture
def start_container(engine: Engine, image: str) -> Iterator[Callable[..., Container]]:
    """As it should be run: a file system that cannot be written, no capabilities."""
    containers = []

    def start(*options: str, image: str = image, command: tuple[str, ...] = ()) -> Container:
        id = engine("run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
                    "--publish", "127.0.0.1::7860", *options, image, *command).strip()
        containers.append(id)
        address = engine("port", id, "7860").splitlines()[0]
        container = Container(id, f"http://{address}")
        wait_for(container.url + "/health/ready")
        return container

    yield start
    for id in containers:
        engine("rm", "--force", "--volumes", id)


@pytest.fixture(scope="session")
def registry(tmp_path_factory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    (folder / "passwords").write_text(PASSWORDS)
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{address}'}}\nauth: {{htpasswd: {{realm: apus, path: {folder}/passwords}}}}\n")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
    wait_for(f"http://{address}/v2/", statuses=(401,))
    yield Registry(address)
    process.terminate()
    process.wait(30)
