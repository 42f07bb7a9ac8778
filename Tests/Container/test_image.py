"""The image that the Dockerfile makes: what is in it, how it runs, what it refuses to be built of, how it is published.

Built by podman (buildah inside), run by podman and runc: see engine.sh, and conftest.py for what it takes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from engine import REPOSITORY, wait_for

sys.path.append(str(REPOSITORY / "Tests/Lifecycle"))

from fake_hub import TOKEN, FakeHub  # noqa: E402

SHIPPED = REPOSITORY / "Sources/Engine/Resources/Model"
CACHE = "/home/apus/.cache/huggingface"
PRIVATE = "founders/private-sentiment"
MAXIMUM_BYTES = 300_000_000  # 250 MB measured
COMPILERS = {"cc", "gcc", "clang", "swift", "swiftc", "ld", "as", "make", "git", "python3", "curl", "wget"}


def weights_sha256() -> str:
    return hashlib.sha256((SHIPPED / "model.safetensors").read_bytes()).hexdigest()


def ask(url: str, text: str | None = None) -> dict:
    data = None if text is None else json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request, timeout=30).read())


# What is in it

def test_it_is_small(engine, image):
    size = engine.inspect(image)["Size"]
    print(f"{size / 1e6:.0f} MB")
    assert size < MAXIMUM_BYTES


def test_it_has_no_compiler_no_sources_and_no_way_to_fetch(engine, image):
    files = engine.in_image(image, "find", "/", "-xdev", "-type", "f", "-o", "-xdev", "-type", "l").splitlines()
    names = {Path(path).name for path in files}
    assert not names & COMPILERS
    assert not [path for path in files if path.endswith((".swift", ".h", ".a", ".swiftmodule")) or path.startswith("/source")]
    assert not [path for path in files if path.startswith("/var/lib/apt/lists/")]


def test_it_has_what_the_binary_needs_and_no_swift_runtime(engine, image):
    libraries = engine.in_image(image, "ldd", "/opt/apus/apus")
    assert "not found" not in libraries
    assert "libopenblas" not in libraries and "libomp" not in libraries
    assert "libcurl" not in libraries and "libssl" not in libraries
    for opened in ("libopenblas.so.0", "libcurl.so.4"):
        assert engine.in_image(image, "sh", "-c", f"ls /usr/lib/*/{opened}")
    assert "libswift" not in libraries and "libFoundation" not in libraries
    assert engine.in_image(image, "ls", "/opt/apus").split() == [
        "LICENSE", "apus", "apus_Engine.resources", "apus_Server.resources", "healthcheck.sh"]


def test_nobody_becomes_another_user(engine, image):
    assert engine.in_image(image, "find", "/", "-xdev", "-perm", "/6000", "-type", "f") == ""


def test_only_the_model_cache_belongs_to_who_runs_it(engine, image):
    own = engine.in_image(image, "find", "/", "-user", "1000", "-not", "-path", "/proc/*").splitlines()
    assert [path for path in own if not path.startswith("/dev/")] == [CACHE]


def test_it_says_what_it_is(engine, image):
    config = engine.inspect(image)["Config"]
    assert config["User"] == "1000:1000" and list(config["ExposedPorts"]) == ["7860/tcp"]
    assert (config["Entrypoint"], config["Cmd"]) == (["apus"], ["serve"])
    assert list(config["Volumes"]) == [CACHE]
    assert {"APUS_HOST=0.0.0.0", "APUS_PORT=7860", f"HF_HOME={CACHE}", "APUS_MODEL=", "HF_HUB_OFFLINE="} <= set(config["Env"])
    labels = config["Labels"]
    version = re.search(r'apusVersion = "([^"]+)"', (REPOSITORY / "Sources/Engine/Version.swift").read_text())[1]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.title"] == "Apus" and labels["org.opencontainers.image.licenses"]
    assert engine.inspect(image)["Healthcheck"]["Test"] == ["CMD", "/opt/apus/healthcheck.sh"]


# How it runs

def test_the_workflows_check_passes(engine, image):
    result = engine.script("check_image.sh", image, "--weights-sha256", weights_sha256(), "--precision", "int8")
    assert result.returncode == 0, result.everything
    assert "runs as 1000:1000 on a read-only file system" in result.stdout


def test_the_workflows_check_fails_for_another_model(engine, image):
    result = engine.script("check_image.sh", image, "--weights-sha256", "0" * 64, "--timeout", "10")
    assert result.returncode == 1 and "not 000" in result.stderr, result.everything


def test_its_server_answers_as_user_1000_on_a_file_system_that_cannot_be_written(engine, start_container):
    container = start_container()
    assert engine("exec", container.id, "id", "-u").strip() == "1000"
    assert engine("exec", container.id, "cat", "/proc/1/comm").strip() == "apus"
    answer = ask(container.url + "/predict", "I love MLOps")
    assert answer["label"] == "positive" and answer["score"] > 0.9
    status = ask(container.url + "/status")
    assert status["self_test"]["passed"] and status["weights_sha256"] == weights_sha256()
    assert ask(container.url + "/health/ready") == {"status": "ready"}
    for place in ("/", "/tmp", "/opt/apus", "/home/apus", "/var/tmp", "/run"):
        engine("exec", container.id, "bash", "-c", f"! touch {place}/file 2>/dev/null")
    engine("exec", container.id, "touch", f"{CACHE}/file")
    engine("healthcheck", "run", container.id)


def test_a_user_whom_nobody_knows_may_fill_the_cache(engine, image):
    """As OpenShift runs images."""
    engine("run", "--rm", "--user", "1000930000:0", "--network", "none", "--entrypoint", "mkdir", image, "-p", f"{CACHE}/hub/a")


def test_nothing_of_its_file_system_was_written_while_it_ran(engine, start_container):
    container = start_container()
    ask(container.url + "/predict", "I love MLOps")
    changes = [line for line in engine("diff", container.id).splitlines() if not re.match(r"[CA] /(proc|sys|dev|run|etc)(/|$)", line)]
    # The way to the volume, which the engine makes.
    assert {line.split()[1] for line in changes} <= {"/home", "/home/apus", "/home/apus/.cache", CACHE}, changes


def test_options_come_from_the_environment_and_from_the_command(engine, start_container):
    container = start_container("--env", "APUS_PRECISION=f32", "--env", "APUS_API_KEY=a-key")
    request = urllib.request.Request(container.url + "/status", headers={"Authorization": "Bearer a-key"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        status = json.loads(answer.read())
    assert status["precision"] == "f32"
    engine("healthcheck", "run", container.id)  # Health asks for no key.
    other = start_container(command=("serve", "--precision", "f32", "--max-queue", "7"))
    assert ask(other.url + "/status")["limits"]["max_queue"] == 7


def test_the_health_check_follows_the_port(engine, image):
    id = engine("run", "--detach", "--read-only", "--env", "APUS_PORT=8080", "--publish", "127.0.0.1::8080", image).strip()
    try:
        address = engine("port", id, "8080").splitlines()[0]
        wait_for(f"http://{address}/health/ready")
        engine("exec", id, "/opt/apus/healthcheck.sh")
    finally:
        engine("rm", "--force", "--volumes", id)


# With a model inside

@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "model"
    shutil.copytree(SHIPPED, directory)
    return directory


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


def test_a_private_model_is_baked_in_and_the_token_is_nowhere(engine, image, hub, model, start_container, tmp_path):
    commit = hub.add(PRIVATE, model, private=True)
    baked = "localhost/apus:baked"
    environment = {"MODEL": PRIVATE, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN}
    result = engine.script("build_image.sh", baked, env=environment, timeout=1800)
    assert result.returncode == 0, result.everything[-10_000:]
    assert TOKEN not in result.everything

    # No layer, no setting and no line of its history has it.
    archive = tmp_path / "image.tar"
    engine("save", "--format", "docker-archive", "--output", archive, baked)
    assert TOKEN.encode() not in archive.read_bytes()
    assert TOKEN not in json.dumps(engine.inspect(baked)) + engine("history", "--no-trunc", baked)

    # It needs no Hub any more, and no network.
    hub.close()
    container = start_container(image=baked)
    status = ask(container.url + "/status")
    assert (status["model"], status["revision"]) == (PRIVATE, commit)
    assert ask(container.url + "/predict", "I hate Mondays")["label"] == "negative"
    result = engine.script("check_image.sh", baked, "--model", PRIVATE, "--revision", commit)
    assert result.returncode == 0, result.everything


def test_a_private_model_without_the_token_makes_no_image(engine, image, hub, model):
    hub.add(PRIVATE, model, private=True)
    environment = {"MODEL": PRIVATE, "HF_ENDPOINT": hub.url}
    result = engine.script("build_image.sh", "localhost/apus:none", env=environment, timeout=1800)
    assert result.returncode != 0 and PRIVATE in result.everything, result.everything[-3000:]


def test_a_model_that_fails_the_self_test_makes_no_image(engine, image, hub, model, tmp_path):
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken/reference_texts.jsonl").write_text('{"text": "I love MLOps", "label": "negative"}\n')
    hub.add("founders/broken", tmp_path / "broken")
    environment = {"MODEL": "founders/broken", "HF_ENDPOINT": hub.url}
    result = engine.script("build_image.sh", "localhost/apus:broken", env=environment, timeout=1800)
    assert result.returncode != 0 and "37 of 38" not in result.stdout, result.everything[-3000:]
    assert re.search(r"failed.*I love MLOps|I love MLOps.*is positive", result.everything), result.everything[-3000:]
    assert "apus:broken" not in engine("images", "--format", "{{.Repository}}:{{.Tag}}")


# Published

def manifest(registry, reference: str) -> dict:
    name, _, tag = reference.removeprefix(registry.address + "/").rpartition("@" if "@" in reference else ":")
    credentials = b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    accepted = ", ".join(("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json",
                          "application/vnd.docker.distribution.manifest.v2+json"))
    request = urllib.request.Request(f"http://{registry.address}/v2/{name}/manifests/{tag}",
                                     headers={"Authorization": f"Basic {credentials}", "Accept": accepted})
    return json.loads(urllib.request.urlopen(request, timeout=30).read())


def test_images_are_pushed_and_listed_under_one_name(engine, image, registry, tmp_path):
    name = f"{registry.address}/founders/apus"
    for architecture in ("amd64", "arm64"):  # The same twice: there is one architecture here.
        result = engine.script("publish_image.sh", image, f"{name}:1.0.0-{architecture}", env=registry.environment)
        assert result.returncode == 0, result.everything
        assert registry.password not in result.everything
    pushed = manifest(registry, f"{name}:1.0.0-amd64")
    print(f"{sum(layer['size'] for layer in pushed['layers']) / 1e6:.0f} MB to fetch")

    outputs = tmp_path / "outputs"
    result = engine.script("publish_manifest.sh", f"{name}:1.0.0", f"{name}:1.0.0-amd64", f"{name}:1.0.0-arm64",
                           env=registry.environment | {"GITHUB_OUTPUT": outputs})
    assert result.returncode == 0, result.everything
    reference = outputs.read_text().strip().removeprefix("image=")
    assert re.fullmatch(re.escape(name) + "@sha256:[0-9a-f]{64}", reference)
    listed = manifest(registry, reference)
    assert listed == manifest(registry, f"{name}:1.0.0")
    assert {entry["platform"]["architecture"] for entry in listed["manifests"]} == {"amd64"}

    # It is what a Space would run.
    result = engine.script("space_files.sh", reference, tmp_path / "space")
    assert result.returncode == 0 and f"FROM {reference}\n" in (tmp_path / "space/Dockerfile").read_text()


def test_nobody_pushes_without_the_password(engine, image, registry):
    reference = f"{registry.address}/founders/apus:2.0.0"
    result = engine.script("publish_image.sh", image, reference, env=registry.environment | {"REGISTRY_TOKEN": "another"})
    assert result.returncode != 0, result.everything
    with pytest.raises(urllib.error.HTTPError):
        manifest(registry, reference)


def test_a_release_is_built_on_digests_that_its_labels_name(engine, image, registry, tmp_path):
    """The registry stands in for Docker Hub."""
    bases = ("swift:6.3.1-bookworm", "debian:bookworm-slim")
    for base in bases:
        result = engine.script("publish_image.sh", f"docker.io/library/{base}", f"{registry.address}/library/{base}",
                               env=registry.environment, timeout=900)
        assert result.returncode == 0, result.everything
    settings = tmp_path / "registries.conf"
    settings.write_text('unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "docker.io"\n'
                        f'location = "{registry.address}"\ninsecure = true\n')
    credentials = b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    passwords = tmp_path / "auth.json"
    passwords.write_text(json.dumps({"auths": {name: {"auth": credentials} for name in (registry.address, "docker.io")}}))
    environment = {"PIN_BASES": "1", "CONTAINERS_REGISTRIES_CONF": settings, "REGISTRY_AUTH_FILE": passwords}
    result = engine.script("build_image.sh", "localhost/apus:pinned", env=environment, timeout=3600)
    assert result.returncode == 0, result.everything[-5000:]
    labels = engine.inspect("localhost/apus:pinned")["Config"]["Labels"]
    assert labels["org.opencontainers.image.base.name"] == "debian:bookworm-slim"
    digest = labels["org.opencontainers.image.base.digest"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert re.search(rf"FROM docker.io/library/debian@{digest} AS runtime", result.stdout + result.stderr)
    assert re.search(r"FROM docker.io/library/swift@sha256:[0-9a-f]{64} AS build", result.stdout + result.stderr)
