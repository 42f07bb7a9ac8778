"""The scripts that talk with GitHub, against a fake of its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_github import BOT, FakeGitHub, Release

HEAD = {"HEAD_OWNER": "somebody", "HEAD_BRANCH": "faster/kernels", "HEAD_SHA": "5" * 40}
F32, INT8 = "model-gate-f32.json", "model-gate-int8.json"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    github = FakeGitHub()
    yield github
    github.close()


# The last release's figures

def test_before_the_first_release_there_is_no_figure(run_script, github, tmp_path):
    github.releases.append(Release(1, "v0.1.0", draft=True))
    result = run_script("previous_gate.sh", tmp_path / "previous", env=github.environment)
    assert result.returncode == 0 and "no release yet" in result.stdout, result.everything
    assert list((tmp_path / "previous").iterdir()) == []


def test_the_last_releases_reports_are_fetched(run_script, github, tmp_path):
    for number, accuracy in enumerate((0.70, 0.72), 1):
        report = json.dumps({"accuracy": accuracy}).encode()
        github.releases.append(Release(number, f"v0.{number}.0", False, {"other.txt": b"x", F32: report, INT8: report}))
    result = run_script("previous_gate.sh", tmp_path / "previous", env=github.environment)
    assert result.returncode == 0 and "v0.2.0" in result.stdout, result.everything
    assert json.loads((tmp_path / "previous" / F32).read_text()) == {"accuracy": 0.72}
    assert {path.name for path in (tmp_path / "previous").iterdir()} == {F32, INT8}


def test_a_release_without_figures_is_no_pass(run_script, github, tmp_path):
    github.releases.append(Release(1, "v0.1.0", False, {F32: b'{"accuracy": 0.7}'}))
    result = run_script("previous_gate.sh", tmp_path / "previous", env=github.environment)
    assert result.returncode == 2 and INT8 in result.stderr, result.everything


@pytest.mark.parametrize("trouble", ["broken", "token", "nobody"])
def test_github_that_fails_is_no_pass(run_script, github, tmp_path, trouble):
    environment = github.environment
    if trouble == "broken":
        github.broken = True
    elif trouble == "token":
        environment["GITHUB_TOKEN"] = "another"
    else:
        github.close()
    result = run_script("previous_gate.sh", tmp_path / "previous", env=environment)
    assert result.returncode == 2, result.everything
    assert {"broken": "status 500", "token": "status 401", "nobody": "no answer"}[trouble] in result.stderr, result.everything


# A release

@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / F32, tmp_path / "a name + more.json"]
    for path in paths:
        path.write_text(json.dumps({"accuracy": 0.71, "file": path.name}))
    return paths


def test_a_release_is_public_only_with_all_of_its_files(run_script, github, files):
    result = run_script("create_release.sh", "v1.0.0", *files, env=github.environment)
    assert result.returncode == 0, result.everything
    [release] = github.releases
    assert (release.tag, release.draft) == ("v1.0.0", False)
    assert release.assets == {path.name: path.read_bytes() for path in files}
    assert github.public_when == [[path.name for path in files]]


def test_a_release_that_was_begun_is_finished(run_script, github, files):
    github.releases.append(Release(1, "v1.0.0", True, {files[0].name: b"half"}))
    result = run_script("create_release.sh", "v1.0.0", *files, env=github.environment)
    assert result.returncode == 0, result.everything
    [release] = github.releases
    assert release.assets == {path.name: path.read_bytes() for path in files} and not release.draft


def test_a_missing_file_leaves_a_draft(run_script, github, files, tmp_path):
    result = run_script("create_release.sh", "v1.0.0", files[0], tmp_path / "nothing.json", env=github.environment)
    assert result.returncode == 2 and "nothing.json" in result.stderr, result.everything
    assert [release.draft for release in github.releases] == [True]


def test_a_release_can_be_read_by_the_next_gate(run_script, github, tmp_path):
    for name in (F32, INT8):
        (tmp_path / name).write_text(json.dumps({"accuracy": 0.715}))
    assert run_script("create_release.sh", "v1.0.0", tmp_path / F32, tmp_path / INT8, env=github.environment).returncode == 0
    result = run_script("previous_gate.sh", tmp_path / "previous", env=github.environment)
    assert result.returncode == 0 and "accuracy 0.715" in result.stdout, result.everything


# A comment

@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "bench-gate.md"
    path.write_text("| kernel | efficiency |\n| --- | --- |\n| gemm | 0.91 |\n")
    return path


def test_a_comment_is_written_once_and_then_changed(run_script, github, page):
    github.add_pull(7, "somebody:faster/kernels", HEAD["HEAD_SHA"])
    github.comments[7].append({"user": {"login": "somebody"}, "body": "<!-- apus: benchmarks --> not mine", "url": "x"})
    for efficiency in ("0.91", "0.95"):
        page.write_text(page.read_text().replace("0.91", efficiency))
        result = run_script("comment_on_pull_request.sh", page, env=github.environment | HEAD)
        assert result.returncode == 0, result.everything
    theirs, own = github.comments[7]
    assert own["user"]["login"] == BOT and "| gemm | 0.95 |" in own["body"] and HEAD["HEAD_SHA"] in own["body"]
    assert "not mine" in theirs["body"]


@pytest.mark.parametrize("pull", [None, ("somebody:faster/kernels", "6" * 40), ("other:faster/kernels", "5" * 40)])
def test_no_other_pull_request_is_commented_on(run_script, github, page, pull):
    if pull:
        github.add_pull(7, *pull)
    result = run_script("comment_on_pull_request.sh", page, env=github.environment | HEAD)
    assert result.returncode == 0 and "no open pull request" in result.stdout, result.everything
    assert not github.comments.get(7)


def test_a_strange_page_calls_nobody_and_fits(run_script, github, page):
    page.write_text("@everyone @org/team see #12, GH-3 <!-- hidden -->\n`$(id)` ${{ secrets.X }} \"quoted\" \\ \u00e9\n" + "x" * 100_000)
    github.add_pull(7, "somebody:faster/kernels", HEAD["HEAD_SHA"])
    result = run_script("comment_on_pull_request.sh", page, env=github.environment | HEAD)
    assert result.returncode == 0, result.everything
    body = github.comments[7][0]["body"]
    assert len(body) < 65_536
    assert not any(mention in body for mention in ("@everyone", "@org", "#12", "GH-3", "<!-- hidden"))
    assert "`$(id)` ${{ secrets.X }} \"quoted\" \\ \u00e9" in body


def test_a_branch_with_strange_characters_is_asked_for_as_it_is(run_script, github, page):
    github.add_pull(7, "somebody:a&b=c #1 é", HEAD["HEAD_SHA"])
    environment = github.environment | HEAD | {"HEAD_BRANCH": "a&b=c #1 é"}
    result = run_script("comment_on_pull_request.sh", page, env=environment)
    assert result.returncode == 0 and len(github.comments[7]) == 1, result.everything


def test_an_empty_page_is_refused(run_script, github, page):
    page.write_text("")
    assert run_script("comment_on_pull_request.sh", page, env=github.environment | HEAD).returncode == 2
