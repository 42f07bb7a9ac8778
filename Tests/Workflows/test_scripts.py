"""The scripts that need no server: tools, versions, a Space's files, the benchmarks' page."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml

from places import REPOSITORY

DIGEST = "ghcr.io/founders/apus@sha256:" + "0123456789abcdef" * 4


def version_in_the_sources() -> str:
    return re.search(r'apusVersion = "([^"]+)"', (REPOSITORY / "Sources/Engine/Version.swift").read_text())[1]


def test_the_tag_of_the_sources_version_is_taken(run_script, outputs):
    result = run_script("check_version.sh", "v" + version_in_the_sources())
    assert result.returncode == 0, result.everything
    assert outputs() == {"version": version_in_the_sources()}


@pytest.mark.parametrize("tag", ["v99.0.0", version_in_the_sources(), "main"])
def test_another_tag_is_refused(run_script, tag):
    result = run_script("check_version.sh", tag)
    assert result.returncode == 2 and f'the tag is {tag}' in result.stderr, result.everything


def test_a_spaces_files_name_the_image_and_configure_the_space(run_script, tmp_path):
    result = run_script("space_files.sh", DIGEST, tmp_path / "space")
    assert result.returncode == 0, result.everything
    assert sorted(path.name for path in (tmp_path / "space").iterdir()) == ["Dockerfile", "README.md"]
    [line] = [line for line in (tmp_path / "space/Dockerfile").read_text().splitlines() if not line.startswith("#")]
    assert line == f"FROM {DIGEST}"
    settings = yaml.safe_load((tmp_path / "space/README.md").read_text().split("---\n")[1])
    assert settings["sdk"] == "docker" and settings["app_port"] == 7860


@pytest.mark.parametrize("image", ["apus", "ghcr.io/founders/apus:1.0.0", DIGEST[:-1], DIGEST + "\nRUN id"])
def test_a_space_of_an_image_that_may_change_is_refused(run_script, tmp_path, image):
    assert run_script("space_files.sh", image, tmp_path / "space").returncode == 2
    assert not (tmp_path / "space").exists()


@pytest.fixture
def bench_gate(run_script, tmp_path):
    def run(recipe: str):
        (tmp_path / "Makefile").write_text("bench-gate:\n" + "".join(f"\t@{line}\n" for line in recipe.splitlines()))
        return run_script("bench_gate.sh", "bench-gate.md")

    return run


def test_the_benchmarks_table_becomes_a_page_and_a_summary(bench_gate, tmp_path):
    result = bench_gate("echo building\nprintf '\\033[1m| kernel | now |\\033[0m\\n| --- | --- |\\n| gemm | 0.91 |\\n'")
    assert result.returncode == 0, result.everything
    page = (tmp_path / "bench-gate.md").read_text()
    assert page.startswith("### ✅") and "\n| kernel | now |\n| --- | --- |\n| gemm | 0.91 |\n" in page
    assert "\x1b" not in page and "\nbuilding\n" in page.split("<details>")[1]
    assert (tmp_path / "summary.md").read_text() == page


def test_a_benchmark_that_fell_behind_fails_and_has_a_page_all_the_same(bench_gate, tmp_path):
    result = bench_gate("echo '| gemm | 0.41 |'\nexit 3")
    assert result.returncode == 2, result.everything  # make's own
    page = (tmp_path / "bench-gate.md").read_text()
    assert page.startswith("### ❌") and "| gemm | 0.41 |" in page


def test_what_was_not_compared_is_no_pass(bench_gate, tmp_path):
    assert bench_gate("echo 'skipped: ratios: avx2.json is of avx2'; echo 'passed: 9 figures of 9 benchmarks'").returncode == 0
    page = (tmp_path / "bench-gate.md").read_text()
    assert page.startswith("### ⚠️ No benchmark allocates more; speed was not compared") and "\nskipped: ratios: avx2.json" in page
    assert bench_gate("echo 'skipped: BPE: no data'; echo 'passed: 9 figures compared'").returncode == 0
    assert (tmp_path / "bench-gate.md").read_text().startswith("### ⚠️ No benchmark fell behind; some were skipped")


def test_output_that_looks_like_markdown_stays_output(bench_gate, tmp_path):
    bench_gate("printf '~~~~\\n# no heading\\n'")
    assert "\n ~~~~\n# no heading\n" in (tmp_path / "bench-gate.md").read_text()


def test_tools_that_are_there_are_not_installed_again(run_script):
    if os.geteuid() != 0 or not os.path.exists("/etc/debian_version"):
        pytest.skip("needs to be root on Debian")
    result = run_script("install_build_tools.sh", "bash", timeout=300)
    assert result.returncode == 0 and "installed: ca-certificates curl git jq make bash" in result.stdout, result.everything
    again = run_script("install_build_tools.sh", "bash")
    assert again.stdout == "installed: ca-certificates curl git jq make bash\n", again.everything


def test_git_trusts_a_checkout_of_another_user(run_script, tmp_path):
    if os.geteuid() != 0 or not os.path.exists("/etc/debian_version"):
        pytest.skip("needs to be root on Debian")
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "init", "-q", checkout], check=True)
    subprocess.run(["chown", "-R", "1001:1001", checkout], check=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    listing = ["git", "-C", checkout, "status"]
    assert subprocess.run(listing, env=environment, capture_output=True).returncode != 0
    assert run_script("install_build_tools.sh", env={"GITHUB_WORKSPACE": checkout}).returncode == 0
    assert subprocess.run(listing, env=environment, capture_output=True).returncode == 0


def test_a_tool_that_does_not_exist_is_an_error(run_script):
    if os.geteuid() != 0 or not os.path.exists("/etc/debian_version"):
        pytest.skip("needs to be root on Debian")
    assert run_script("install_build_tools.sh", "no-such-package-of-apus", timeout=300).returncode != 0


def test_hf_is_installed_by_its_hashes_and_has_the_commands_that_are_used(run_script, tmp_path):
    result = run_script("install_hf.sh", tmp_path / "hf", env={"GITHUB_PATH": tmp_path / "path"}, timeout=300)
    assert result.returncode == 0, result.everything
    assert (tmp_path / "path").read_text() == f"{tmp_path}/hf/bin\n"
    for command, options in {("upload",): ("--repo-type", "--delete", "--commit-message"), ("spaces", "info"): ("--expand",),
                             ("spaces", "logs"): ("--build", "--tail"),
                             ("download",): ("--repo-type", "--revision", "--local-dir")}.items():
        help = subprocess.run([tmp_path / "hf/bin/hf", *command, "--help"], capture_output=True, text=True, check=True).stdout
        assert all(option in help for option in (*options, "--format")), help


def test_each_package_of_hf_has_a_hash():
    lines = (REPOSITORY / "deploy/scripts/hf-requirements.txt").read_text()
    packages = re.findall(r"^(\S+==\S+) ((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)", lines, re.MULTILINE)
    assert len(packages) == lines.count("==") > 5
