"""Other people's checkers on the workflows, the compose file and every shell script of the repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from places import REPOSITORY, WORKFLOWS


def tracked(*patterns: str) -> list[Path]:
    """The files of the repository, those that git does not know yet included."""
    command = ["git", "-C", REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [REPOSITORY / name for name in names if (REPOSITORY / name).exists()]


def run(*command: object) -> None:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=REPOSITORY,
                            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    assert result.returncode == 0, result.stdout + result.stderr


def test_actionlint_finds_nothing(tool):
    """With shellcheck on each step that is a script of its own."""
    run(tool("actionlint"), "-no-color", "-shellcheck", tool("shellcheck"), *WORKFLOWS)


def test_zizmor_finds_nothing(tool):
    """Injection, excess permissions, secrets' ways, unpinned actions, poisoned caches."""
    run(tool("zizmor"), "--offline", "--no-progress", "--config", REPOSITORY / "Tests/Workflows/zizmor.yml", *WORKFLOWS)


def test_workflows_have_githubs_form(tool):
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_the_compose_file_has_the_form_of_its_specification(tool):
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", REPOSITORY / "deploy/compose.yaml")


SHELL_SCRIPTS = tracked("*.sh", ".ci/run")


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_shellcheck_finds_nothing(tool, script):
    run(tool("shellcheck"), script)


def test_scripts_are_found_and_can_be_started():
    names = {path.name for path in SHELL_SCRIPTS}
    assert {"deploy_space.sh", "model_gate.sh", "healthcheck.sh", "run"} <= names
    for script in SHELL_SCRIPTS:
        sourced = script.name == "lib.sh"
        assert os.access(script, os.X_OK) != sourced, f"{script}: only what is sourced is not executable"
        assert sourced or script.read_text().startswith("#!/usr/bin/env bash\n")
