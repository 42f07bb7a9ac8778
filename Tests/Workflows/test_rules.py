"""The workflows' own rules: what they run exists here, what they use is pinned, what they may do is little."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from places import REPOSITORY, WORKFLOWS

# What a job may be given beyond reading the sources, by its name.
GRANTS = {
    ("benchmark-comment", "comment"): {"actions": "read", "contents": "read", "pull-requests": "write"},
    ("deploy", "image"): {"contents": "read", "packages": "write"},
    ("deploy", "manifest"): {"contents": "read", "packages": "write"},
    ("deploy", "release"): {"contents": "write"},
}
# Steps that are given a secret or a token, by their script.
TRUSTED = {"previous_gate.sh", "comment_on_pull_request.sh", "publish_image.sh", "publish_manifest.sh", "deploy_space.sh",
           "create_release.sh", "retrain.sh"}


class Loader(yaml.SafeLoader):
    """YAML 1.2's truths: `on` is a word."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))

Document = dict[str, Any]
DOCUMENTS: dict[str, Document] = {path.stem: yaml.load(path.read_text(), Loader) for path in WORKFLOWS}
JOBS = {(name, job): content for name, document in DOCUMENTS.items() for job, content in document["jobs"].items()}
STEPS = [(f"{name}/{job}/{index}", step) for (name, job), content in JOBS.items() for index, step in enumerate(content.get("steps", []))]
RUNS = [(place, step) for place, step in STEPS if "run" in step]


def words(step: dict[str, Any]) -> list[str]:
    """A step's command. `exec` leaves no shell around it, which would keep a cancellation's signal to itself."""
    return shlex.split(step["run"].removeprefix("exec "))


by_job = pytest.mark.parametrize(("name", "job"), JOBS, ids="/".join)
by_run = pytest.mark.parametrize("step", [step for _, step in RUNS], ids=[place for place, _ in RUNS])


def values(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for value in content.values():
            yield from values(value)
    elif isinstance(content, list):
        for value in content:
            yield from values(value)
    else:
        yield str(content)


def test_the_workflows_are_those_of_the_readme():
    assert set(DOCUMENTS) == {"ci", "model-gate", "benchmark", "benchmark-comment", "deploy", "retrain"}


@pytest.fixture(scope="session")
def make_targets() -> set[str]:
    result = subprocess.run(["make", "-C", REPOSITORY, "-pRrq", ":"], capture_output=True, text=True)
    return set(re.findall(r"^([a-z][a-z-]*):", result.stdout, re.MULTILINE))


# What they run

@by_run
def test_each_command_is_a_make_target_or_a_script_that_is_here(step, make_targets):
    command = step["run"]
    assert "\n" not in command.strip(), "more than one command belongs into a script, which can be tried here"
    program, *targets = words(step)
    if program == "make":
        assert targets and set(targets) <= make_targets, f"no such target: {set(targets) - make_targets}"
    else:
        assert re.fullmatch(r"deploy/scripts/[a-z_]+\.sh", program), command
        assert (REPOSITORY / program).is_file(), command


@by_run
def test_no_expression_is_pasted_into_a_command(step):
    """A branch's name may hold a command; as a variable's value it is only text."""
    assert "${{" not in step["run"]


def test_scripts_call_only_scripts_that_are_here():
    for script in (REPOSITORY / "deploy/scripts").glob("*.sh"):
        for name in re.findall(r"[\w-]+\.sh\b", script.read_text()):
            assert (script.parent / name).exists(), f"{script.name} names {name}"


def test_scripts_make_only_targets_that_are_here(make_targets):
    for script in (REPOSITORY / "deploy/scripts").glob("*.sh"):
        for target in re.findall(r"^ *make ([a-z-]+)", script.read_text(), re.MULTILINE):
            assert target in make_targets, f"{script.name} makes {target}"


def test_every_script_is_used_and_tested():
    workflows = "".join(path.read_text() for path in WORKFLOWS) + (REPOSITORY / "Dockerfile").read_text()
    tests = "".join(path.read_text() for folder in ("Workflows", "Container", "Loop") for path in (REPOSITORY / "Tests" / folder).glob("test_*.py"))
    scripts = {path.name: path.read_text() for path in (REPOSITORY / "deploy/scripts").glob("*.sh")}
    for name in scripts:
        callers = workflows + "".join(text for other, text in scripts.items() if other != name)
        assert name in callers, f"nobody calls {name}"
        assert name == "lib.sh" or f'"{name}"' in tests, f"no test runs {name}"


# What they use

USES = [(f"{place}", step["uses"]) for place, step in STEPS if "uses" in step]
CALLS = {(name, job): content["uses"] for (name, job), content in JOBS.items() if "uses" in content}


@pytest.mark.parametrize("uses", [uses for _, uses in USES], ids=[place for place, _ in USES])
def test_each_action_is_githubs_own_and_pinned_by_its_commit(uses):
    assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", uses), uses


def test_each_pin_says_which_version_it_is_and_the_same_everywhere():
    versions: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, version in re.findall(r"uses: (actions/\S+) # (v\d+\.\d+\.\d+)$", path.read_text(), re.MULTILINE):
            versions.setdefault(action.split("@")[0], set()).add(f"{action} {version}")
    assert sum(map(len, versions.values())) == len(versions), versions
    assert {uses for _, uses in USES} == {pin.split()[0] for pins in versions.values() for pin in pins}


@pytest.mark.parametrize("uses", CALLS.values(), ids=map("/".join, CALLS))
def test_each_workflow_that_is_called_is_one_of_ours(uses):
    path = REPOSITORY / uses
    assert uses.startswith("./") and path in WORKFLOWS
    assert "workflow_call" in DOCUMENTS[path.stem]["on"]


@by_job
def test_images_have_a_version(name, job):
    container = JOBS[name, job].get("container")
    assert container is None or re.fullmatch(r"[a-z/.]+:\d+\.\d+\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?", container), container
    runner = JOBS[name, job].get("runs-on", "")
    assert "latest" not in runner


def test_the_toolchain_is_the_dockerfiles():
    used = {content["container"] for content in JOBS.values() if "container" in content}
    [image] = re.findall(r"^ARG BUILD_IMAGE=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert used == {image}
    version = image.split(":")[1].split("-")[0]
    for path in WORKFLOWS:
        assert set(re.findall(r"swift-(\d+\.\d+\.\d+)", path.read_text())) <= {version}, path


# What they may do

@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_granted_to_a_whole_workflow(name):
    document = DOCUMENTS[name]
    assert document["permissions"] == {}
    assert document["concurrency"]["group"], "two runs of it would get in each other's way"
    assert document["defaults"]["run"]["shell"] == "bash", "which ends a step at the first failure of a pipe"
    assert "env" not in document


@by_job
def test_each_job_may_do_what_it_does_and_no_more(name, job):
    assert JOBS[name, job]["permissions"] == GRANTS.get((name, job), {"contents": "read"})


@by_job
def test_each_job_ends(name, job):
    content = JOBS[name, job]
    assert "uses" in content or 0 < content["timeout-minutes"] <= 120


def test_only_steps_that_need_one_get_a_secret():
    given = set()
    for (name, job), content in JOBS.items():
        assert "secrets" not in content, f"{name}/{job} hands all secrets on"
        outside = {key: value for key, value in content.items() if key != "steps"}
        assert not any("secrets." in value or "github.token" in value for value in values(outside)), f"{name}/{job}"
        for step in content.get("steps", []):
            held = [value for value in values(step) if "secrets." in value or "github.token" in value]
            if not held:
                continue
            if "uses" in step:
                assert held == ["${{ github.token }}"] and step["uses"].startswith("actions/download-artifact@")
            else:
                assert all(value in values(step["env"]) for value in held)
                given.add(Path(words(step)[0]).name)
    assert given == TRUSTED
    secrets = {name for document in DOCUMENTS.values() for value in values(document) for name in re.findall(r"secrets\.(\w+)", value)}
    assert secrets == {"HF_TOKEN", "DEPLOYMENT_TOKEN"}


@by_job
def test_a_checkout_leaves_no_token_behind(name, job):
    for step in JOBS[name, job].get("steps", []):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_what_runs_a_pull_requests_code_may_write_nothing():
    for name, document in DOCUMENTS.items():
        if "pull_request" in document["on"]:
            for job, content in document["jobs"].items():
                assert content["permissions"] == {"contents": "read"}, f"{name}/{job}"
                assert "environment" not in content
        assert "pull_request_target" not in document["on"]
    # And what may write for one takes its code from the default branch.
    [checkout] = [step for step in JOBS["benchmark-comment", "comment"]["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


# The order of a deployment

def test_nothing_is_deployed_before_all_else_has_passed():
    jobs = DOCUMENTS["deploy"]["jobs"]

    def before(job: str) -> set[str]:
        needs = jobs[job].get("needs", [])
        needs = {needs} if isinstance(needs, str) else set(needs)
        return needs.union(*map(before, needs))

    assert {Path(jobs[job]["uses"]).stem for job in before("image")} == {"ci", "model-gate", "benchmark"}
    assert before("image") <= before("manifest") < before("space") < before("release")
    assert not any("if" in content for content in jobs.values()), "a job with a condition may run after a failure"
    assert not any("continue-on-error" in text for text in (path.read_text() for path in WORKFLOWS))
    assert jobs["space"]["environment"] == "production"
    assert DOCUMENTS["deploy"]["on"] == {"push": {"tags": ["v*"]}}


def test_what_passed_the_gate_is_what_is_built_and_what_is_looked_for():
    steps = {Path(words(step)[0]).name: step for place, step in RUNS if place.startswith("deploy/")}
    gate = "${{ needs.gate.outputs.%s }}"
    build = steps["build_image.sh"]["env"]
    assert (build["MODEL"], build["MODEL_REVISION"]) == (gate % "model", gate % "commit")
    for script in ("check_image.sh", "deploy_space.sh"):
        assert {"--version", "--revision", "--weights-sha256"} <= set(words(steps[script]))
        assert steps[script]["env"]["WEIGHTS_SHA256"] == gate % "weights_sha256"
        assert steps[script]["env"]["MODEL_COMMIT"] == gate % "commit"
    assert set(DOCUMENTS["model-gate"]["on"]["workflow_call"]["outputs"]) == {"model", "commit", "weights_sha256"}
    assert steps["create_release.sh"]["run"].count("model-gate-") == 2


def test_a_deployment_is_put_back_when_the_job_ends_early_and_has_the_time_to_do_so_when_it_does_not():
    [step] = [step for _, step in RUNS if "deploy_space.sh" in step["run"]]
    assert step["run"].startswith("exec "), "a cancelled job tells only the step's own process"
    script = (REPOSITORY / "deploy/scripts/deploy_space.sh").read_text()
    [wait] = re.findall(r"^limit=\$\{SPACE_TIMEOUT:-(\d+)\}$", script, re.MULTILINE)
    assert JOBS["deploy", "space"]["timeout-minutes"] >= 2 * int(wait) / 60 + 30, "for the new image and for the old one"


def test_a_deployment_sends_what_the_server_or_a_private_space_asks_for():
    [step] = [step for _, step in RUNS if "deploy_space.sh" in step["run"]]
    assert step["env"]["DEPLOYMENT_TOKEN"] == "${{ secrets.DEPLOYMENT_TOKEN }}"


def test_a_benchmark_that_a_newer_push_cancelled_is_no_failure():
    conditions = JOBS["benchmark-comment", "comment"]["if"].split(" && ")
    run = "github.event.workflow_run"
    assert conditions == [f"{run}.event == 'pull_request'", f"{run}.conclusion != 'cancelled'"]


def test_the_gate_has_the_bounds_it_was_agreed_to_have():
    [gate] = [step for _, step in RUNS if "model_gate.sh" in step["run"]]
    assert gate["env"]["MODEL"] == "cardiffnlp/twitter-roberta-base-sentiment-latest"
    assert float(gate["env"]["MIN_ACCURACY"]) >= 0.6
    script = (REPOSITORY / "deploy/scripts/model_gate.sh").read_text()
    assert "--reference-precision f32 --max-accuracy-drop 0.003 --min-agreement 0.99" in script
