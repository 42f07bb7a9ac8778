"""What can be said of the Dockerfile without building it, in a second; test_image.py builds it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"


@dataclass
class Stage:
    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)  # instruction and the rest of it

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def parse(text: str) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, and the stages."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    steps = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    arguments, stages = {}, []
    for step in filter(str.strip, steps):
        instruction, rest = step.split(None, 1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif not stages:
            assert instruction == "ARG", step
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            stages[-1].steps.append((instruction, rest.strip()))
    return arguments, stages


ARGUMENTS, STAGES = parse(DOCKERFILE.read_text())
BUILD, RUNTIME, MODEL, SERVER = STAGES


def sent(path: str) -> bool:
    """Whether .dockerignore, a list of exceptions to `*`, lets a path through."""
    first, *exceptions = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert first == "*" and all(line.startswith("!") for line in exceptions)
    return any(path == line[1:] or path.startswith(line[1:] + "/") for line in exceptions)


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [hadolint if hadolint.exists() else shutil.which("hadolint") or "hadolint", DOCKERFILE]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0 and not result.stdout, result.stdout + result.stderr


def test_the_stages_build_on_each_other():
    assert [stage.name for stage in STAGES] == ["build", "runtime", "model", "server"]
    assert [stage.base for stage in STAGES] == ["${BUILD_IMAGE}", "${BASE_IMAGE}", "runtime", "runtime"]
    sources = [source for stage in STAGES for copy in stage.all("COPY") for source in re.findall(r"--from=(\w+)", copy)]
    assert sources == ["build", "model"]


def test_base_images_have_a_version():
    assert ARGUMENTS == {"BUILD_IMAGE": "swift:6.3.1-bookworm", "BASE_IMAGE": "debian:bookworm-slim"}
    tools = re.search(r"swift-tools-version: (\d+)\.(\d+)", (REPOSITORY / "Package.swift").read_text()).groups()
    image = re.search(r"swift:(\d+)\.(\d+)", ARGUMENTS["BUILD_IMAGE"]).groups()
    assert tuple(map(int, image)) >= tuple(map(int, tools))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_what_is_copied_is_there_and_is_sent(stage):
    for copy in stage.all("COPY"):
        if "--from=" in copy:
            continue
        *sources, _ = [word for word in copy.split() if not word.startswith("--")]
        for source in sources:
            found = list(REPOSITORY.glob(source))
            assert found, f"COPY {source}: there is nothing of that name"
            assert any(sent(str(path.relative_to(REPOSITORY))) for path in found), f"{source} is kept back by .dockerignore"


def test_nothing_else_is_sent():
    for path in (".git/config", ".env", ".build/release/apus", "Tests/Container/conftest.py", "deploy/scripts/lib.sh", ".build-hf/x"):
        assert not sent(path)


def test_every_folder_of_the_package_is_there_when_it_is_built():
    """SwiftPM refuses a package whose targets have no folder, tests included."""
    package = (REPOSITORY / "Package.swift").read_text()
    named = set(re.findall(r'testTarget\(\s*name: "(\w+)"', package)) | {Path(path).name for path in re.findall(r'path: "Tests/(\w+)"', package)}
    made = set(re.findall(r"Tests/(\w+)", " ".join([*BUILD.all("RUN"), *BUILD.all("COPY")])))
    assert made == named


def test_packages_are_fetched_before_the_sources_come():
    steps = [f"{instruction} {rest}" for instruction, rest in BUILD.steps]
    assert steps.index("COPY Package.* ./") < steps.index("RUN swift package resolve") < steps.index("COPY Sources Sources")
    [build] = [step for step in steps if "swift build" in step]
    assert "-c release" in build and "--static-swift-stdlib" in build


def test_the_final_image_is_tested_while_it_is_built_as_who_it_runs_as():
    steps = SERVER.steps
    assert steps.index(("USER", "1000:1000")) < steps.index(("RUN", "apus self-test"))
    assert any("useradd -m -u 1000 " in run for run in RUNTIME.all("RUN"))
    assert [rest for instruction, rest in steps if instruction == "USER"] == ["1000:1000"]


def test_the_server_is_reached_where_a_space_asks_for_it():
    assert SERVER.all("EXPOSE") == ["7860"]
    environment = RUNTIME.all("ENV")[0]
    assert "APUS_HOST=0.0.0.0" in environment and "APUS_PORT=7860" in environment
    assert (SERVER.all("ENTRYPOINT"), SERVER.all("CMD")) == (['["apus"]'], ['["serve"]'])
    head = (REPOSITORY / "README.md").read_text().split("---\n")[1]
    assert "sdk: docker\n" in head and "app_port: 7860\n" in head


def test_group_0_may_write_the_cache_as_users_without_a_name_are_in_it():
    [run] = RUNTIME.all("RUN")
    cache = "/home/apus/.cache/huggingface"
    assert f"chown apus:root {cache} " in run and f"chmod 775 {cache} " in run
    assert run.index(f"chown apus:root {cache} ") > run.index("chown -R root:root /home/apus")


def test_what_a_pull_opens_is_there():
    assert " libcurl4 " in RUNTIME.all("RUN")[0]


def test_only_the_cache_is_a_volume_and_it_is_where_models_go():
    assert SERVER.all("VOLUME") == ["/home/apus/.cache/huggingface"]
    assert "HF_HOME=/home/apus/.cache/huggingface" in RUNTIME.all("ENV")[0]


def test_health_is_asked_by_a_script_that_is_in_the_image():
    [check] = SERVER.all("HEALTHCHECK")
    assert check.endswith('CMD ["/opt/apus/healthcheck.sh"]')
    [copy] = [copy for copy in RUNTIME.all("COPY") if "deploy/scripts/healthcheck.sh" in copy]
    assert copy.endswith(" /opt/apus/")
    assert "--chmod=755 " in copy, "a clone of the Space has lost the file's own mode, and the check could not run"
    assert " curl " not in " ".join(RUNTIME.all("RUN"))


def test_a_token_is_a_secret_and_never_an_argument():
    assert "--mount=type=secret,id=HF_TOKEN" in MODEL.all("RUN")[0]
    declared = [rest.split("=")[0] for stage in STAGES for rest in stage.all("ARG")]
    assert not any("TOKEN" in name for name in declared)
    assert "HF_TOKEN=" not in DOCKERFILE.read_text().replace("id=HF_TOKEN", "").replace("env=HF_TOKEN", "")
