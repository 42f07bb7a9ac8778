"""A container engine, containers and a registry, as these tests use them."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Engine:
    """Tests/Container/engine.sh, and the scripts of deploy/scripts with it."""

    environment: dict[str, str]

    def __call__(self, *arguments: Any, check: bool = True, timeout: float = 300) -> str:
        """The standard output of an engine's command."""
        result = self.run([REPOSITORY / "Tests/Container/engine.sh", *arguments], {}, timeout)
        assert result.returncode == 0 or not check, f"{arguments}\n{result.stdout}{result.stderr}"
        return result.stdout

    def script(self, name: str, *arguments: Any, env: dict[str, Any] | None = None, timeout: float = 600):
        result = self.run([REPOSITORY / "deploy/scripts" / name, *arguments], env or {}, timeout)
        result.everything = f"{name}: exit status {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def run(self, command: list[Any], env: dict[str, Any], timeout: float) -> subprocess.CompletedProcess:
        variables = self.environment | {name: str(value) for name, value in env.items()}
        return subprocess.run([str(word) for word in command], env=variables, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, cwd=REPOSITORY)

    def inspect(self, image: str) -> dict[str, Any]:
        return json.loads(self("image", "inspect", image))[0]

    def in_image(self, image: str, *command: str) -> str:
        """What a command says as root in a container of its own."""
        return self("run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", command[0], image, *command[1:])


@dataclass
class Container:
    id: str
    url: str


def wait_for(url: str, seconds: float = 60, statuses: tuple[int, ...] = (200,)) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            status = urllib.request.urlopen(url, timeout=5).status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError as error:
            status = error
        if status in statuses:
            return
        assert time.monotonic() < deadline, f"{url}: {status}"
        time.sleep(0.1)


@dataclass
class Registry:
    """Debian's docker-registry, which asks for a password."""

    address: str
    user: str = "founder"
    password: str = "password-of-the-registry"

    @property
    def environment(self) -> dict[str, str]:
        return {"REGISTRY_USER": self.user, "REGISTRY_TOKEN": self.password}
