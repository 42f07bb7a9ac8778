"""deploy/kubernetes: by the published schemas, against each other, and against a real server that is started as a kubelet
would start it. Every check is shown to fail on a manifest that is wrong."""

from __future__ import annotations

import copy
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

import manifests
import pod as pods
import tweets

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
BUILT = ("apus", "canary", "kserve")

KEY = "a key of this test"
SECRETS = {"apus-api-key": {"api-key": KEY}}
# What the Dockerfile sets for whoever says nothing else.
IMAGE = {"APUS_HOST": "0.0.0.0", "APUS_PORT": "7860", "HF_HOME": "/home/apus/.cache/huggingface"}


@pytest.fixture(scope="session")
def built() -> dict[str, list[dict]]:
    return {name: manifests.build(FOLDER / name) for name in BUILT}


@pytest.fixture(scope="session")
def flags(apus: Path) -> set[str]:
    flags = manifests.flags_of(subprocess.run([apus, "help", "serve"], capture_output=True, text=True, check=True).stdout)
    assert {"--model", "--port", "--require-gate"} <= flags
    return flags


def specifications(objects: list[dict]) -> list[dict]:
    """Those of the pods, of a predictor too."""
    return [spec for _, _, spec in manifests.pods(objects)] + [
        found["spec"]["predictor"] for found in manifests.of_kind(objects, "InferenceService")]


def keys() -> dict[str, set[str]]:
    return {name: set(values) for name, values in SECRETS.items()}


# Schemas and references

@pytest.mark.parametrize("name", BUILT)
def test_objects_are_as_the_published_schemas_want_them(built, name):
    assert manifests.schema_problems(built[name]) == []


@pytest.mark.parametrize("name", ["apus", "canary"])
def test_what_is_referred_to_is_there(built, name):
    assert manifests.reference_problems(built[name], keys()) == []


@pytest.mark.parametrize("name", BUILT)
def test_containers_use_only_what_the_binary_knows_and_keep_to_the_restricted_profile(built, flags, name):
    assert len(specifications(built[name])) == (2 if name == "canary" else 1)
    for spec in specifications(built[name]):
        assert manifests.right_problems(spec) == []
        for container in spec["containers"]:
            assert manifests.option_problems(container, flags) == []
        assert manifests.container_problems(spec, keys()) == []


def test_everything_is_there_and_in_its_namespace(built):
    kinds = Counter(found["kind"] for found in built["apus"])
    assert kinds == Counter(["Namespace", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget",
                             "NetworkPolicy", "ServiceMonitor"])
    assert Counter(found["kind"] for found in built["canary"]) - kinds == Counter(
        ["Deployment", "Service", "Service", "HTTPRoute"])
    assert {found["metadata"].get("namespace") for name in ("apus", "canary") for found in built[name]
            if found["kind"] != "Namespace"} == {"apus"}


def test_no_pod_leaves_before_another_one_serves(built):
    for deployment in manifests.of_kind(built["canary"], "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    scaler, = manifests.of_kind(built["apus"], "HorizontalPodAutoscaler")
    assert scaler["spec"]["minReplicas"] >= 2


def test_a_canary_differs_from_the_stable_track_in_name_label_image_and_number_alone(built):
    stable, canary = (
        next(found for found in manifests.of_kind(built["canary"], "Deployment") if found["metadata"]["name"] == name)
        for name in ("apus", "apus-canary"))
    image = canary["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image != stable["spec"]["template"]["spec"]["containers"][0]["image"]
    assert canary["spec"].pop("replicas") == 1
    text = json.dumps(canary).replace(": \"canary\"", ": \"stable\"").replace("apus-canary", "apus").replace(
        image, stable["spec"]["template"]["spec"]["containers"][0]["image"])
    assert json.loads(text) == stable


def test_weights_go_to_both_tracks_and_a_header_asks_for_the_canary(built):
    route, = manifests.of_kind(built["canary"], "HTTPRoute")
    asked, weighted = route["spec"]["rules"]
    assert [backend["name"] for backend in asked["backendRefs"]] == ["apus-canary"] and "matches" in asked
    weights = {backend["name"]: backend["weight"] for backend in weighted["backendRefs"]}
    assert weights.keys() == {"apus-stable", "apus-canary"} and sum(weights.values()) == 100
    assert weights["apus-canary"] < weights["apus-stable"] and "matches" not in weighted
    services = {found["metadata"]["name"]: found["spec"]["selector"] for found in manifests.of_kind(built["canary"], "Service")}
    for track in ("stable", "canary"):
        chosen = [labels["track"] for _, labels, _ in manifests.pods(built["canary"])
                  if manifests.selects(services[f"apus-{track}"], labels)]
        assert chosen == [track]
    assert sum(manifests.selects(services["apus"], labels) for _, labels, _ in manifests.pods(built["canary"])) == 2


def test_going_back_as_the_readme_says_takes_the_canary_out_of_every_service(tmp_path):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    go_back = readme.split("**Or go back**")[1].split("\n\n")[0]
    folder = shutil.copytree(FOLDER, tmp_path / "kubernetes")
    path = folder / re.search(r"`([\w/]+\.yaml)`", go_back)[1]
    text, changes = re.subn(r"count: \d+", re.search(r"`(count: \d+)`", go_back)[1], path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    canary = find(manifests.build(folder / "canary"), "Deployment", "apus-canary")
    assert changes == 1 and canary["spec"]["replicas"] == 0


def test_the_readmes_comparison_of_errors_and_latency_is_of_work_alone():
    """Probes and scrapes never fail, and are most of what one canary pod answers."""
    comparison = (FOLDER / "README.md").read_text(encoding="utf-8").split("Compare the tracks")[1].split("```")[1]
    selectors = re.findall(r"\bhttp_\w+\{(.*?)\}|\bhttp_\w+(?!\w|\{)", comparison)
    assert len(selectors) == 3
    assert all({'job=~"apus.*"', 'method="POST"'} <= set(selector.split(", ")) for selector in selectors), selectors


def test_the_figures_of_memory_beside_the_limit_are_those_that_were_measured():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    measured = set(re.findall(r"(?<=\| )\d+(?= \|)", readme.split("| resident, MB |")[1].split("\n\n")[0]))
    said = set(re.findall(r"(\d+) MB", (FOLDER / "deployment/deployment.yaml").read_text(encoding="utf-8")))
    assert len(measured) == 4 and said and said <= measured


def test_the_autoscaler_by_queue_keeps_the_rest_and_its_metric_is_one_that_the_adapter_makes(built, tmp_path):
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({
        "resources": [str(relative(FOLDER / "apus", tmp_path))], "components": [str(relative(FOLDER / "queue-autoscaler", tmp_path))]}))
    objects = manifests.build(tmp_path)
    assert manifests.schema_problems(objects) == [] and manifests.reference_problems(objects, keys()) == []
    scaler, = manifests.of_kind(objects, "HorizontalPodAutoscaler")
    by_cpu, by_queue = scaler["spec"].pop("metrics")
    before, = manifests.of_kind(built["apus"], "HorizontalPodAutoscaler")
    before = copy.deepcopy(before)
    assert [by_cpu] == before["spec"].pop("metrics") and scaler == before
    rule, = yaml.safe_load((FOLDER / "queue-autoscaler/adapter-values.yaml").read_text())["rules"]["custom"]
    assert by_queue["pods"]["metric"]["name"] == rule["name"]["as"]
    target = by_queue["pods"]["target"]["averageValue"]
    assert int(target) < int(variable(objects, "APUS_MAX_QUEUE")["value"]), "requests are turned away before a pod is added"


def relative(path: Path, start: Path) -> Path:
    return Path(os.path.relpath(path, start.resolve()))


# The checks themselves

def find(objects: list[dict], kind: str, which: str | None = None) -> dict:
    return next(found for found in objects if found["kind"] == kind and which in (None, found["metadata"]["name"]))


def container(objects: list[dict]) -> dict:
    return find(objects, "Deployment", "apus")["spec"]["template"]["spec"]["containers"][0]


def variable(objects: list[dict], name: str) -> dict:
    return next(found for found in container(objects)["env"] if found["name"] == name)


def spec_of(objects: list[dict], kind: str, which: str | None = None) -> dict:
    return find(objects, kind, which)["spec"]


WRONG_REFERENCES: dict[str, Callable[[list[dict]], object]] = {
    "Service apus selects no pods": lambda o: spec_of(o, "Service", "apus")["selector"].update(track="none"),
    "its pods have no port https": lambda o: spec_of(o, "Service", "apus")["ports"][0].update(targetPort="https"),
    "does not select its own pods": lambda o: spec_of(o, "Deployment", "apus")["selector"]["matchLabels"].update(track="x"),
    "Deployment apus selects the pods of Deployment apus-canary":
        lambda o: spec_of(o, "Deployment", "apus")["selector"]["matchLabels"].pop("track"),
    "spreads pods that are not its own": lambda o: spec_of(o, "Deployment", "apus")["template"]["spec"][
        "topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(track="x"),
    "Deployment apus is behind no Service": lambda o: [
        found["spec"]["selector"].update(track="canary") for found in manifests.of_kind(o, "Service")],
    "PodDisruptionBudget apus leaves out the pods": lambda o: spec_of(o, "PodDisruptionBudget")["selector"]["matchLabels"].update(x="y"),
    "NetworkPolicy apus leaves out the pods of Deployment apus-canary":
        lambda o: spec_of(o, "NetworkPolicy")["podSelector"]["matchLabels"].update(track="stable"),
    "NetworkPolicy apus: Deployment apus has no port 80":
        lambda o: spec_of(o, "NetworkPolicy")["ingress"][0]["ports"][0].update(port=80),
    "scales Deployment opus, which is not there": lambda o: spec_of(o, "HorizontalPodAutoscaler")["scaleTargetRef"].update(name="opus"),
    "Deployment apus fixes its replicas": lambda o: spec_of(o, "Deployment", "apus").update(replicas=2),
    "a Service has no port metrics": lambda o: spec_of(o, "ServiceMonitor")["endpoints"][0].update(port="metrics"),
    "scrapes the pods of Deployment apus 2 times": lambda o: spec_of(o, "ServiceMonitor")["selector"].pop("matchExpressions"),
    "scrapes the pods of Deployment apus 0 times": lambda o: spec_of(o, "ServiceMonitor")["selector"]["matchLabels"].update(x="y"),
    "have no label rack": lambda o: spec_of(o, "ServiceMonitor").update(podTargetLabels=["rack"]),
    "ServiceMonitor apus: there is no secret": lambda o: spec_of(o, "ServiceMonitor")["endpoints"][0]["authorization"][
        "credentials"].update(key="key"),
    "there is no Service apus-green with port 80": lambda o: spec_of(o, "HTTPRoute")["rules"][1]["backendRefs"][0].update(name="apus-green"),
    "there is no Service apus-stable with port 7860": lambda o: spec_of(o, "HTTPRoute")["rules"][1]["backendRefs"][0].update(port=7860),
    "it listens on 7861": lambda o: container(o).update(args=["serve", "--host", "0.0.0.0", "--port", "7861"]),
    "livenessProbe asks port metrics": lambda o: container(o)["livenessProbe"]["httpGet"].update(port="metrics"),
    "readinessProbe asks port metrics": lambda o: container(o)["readinessProbe"]["httpGet"].update(port="metrics"),
    "APUS_LOG_FORMAT is set twice": lambda o: container(o)["env"].append({"name": "APUS_LOG_FORMAT", "value": "text"}),
    "APUS_API_KEY: there is no secret": lambda o: variable(o, "APUS_API_KEY")["valueFrom"]["secretKeyRef"].update(name="key"),
    "APUS_THREADS: there is no container": lambda o: variable(o, "APUS_THREADS")["valueFrom"]["resourceFieldRef"].update(
        containerName="server"),
    "it may take 40.0 s to leave": lambda o: variable(o, "APUS_GRACE_PERIOD").update(value="35"),
    "are not limits": lambda o: container(o)["resources"]["requests"].update(memory="256Mi"),
    "clients may make it hold": lambda o: variable(o, "APUS_MAX_CONNECTIONS").update(value="1024"),
    "256 clients of one text each never fill a queue of 1024": lambda o: variable(o, "APUS_MAX_QUEUE").update(value="1024"),
    "a request of 128 texts wants a queue of 128": lambda o: variable(o, "APUS_MAX_CLIENT_BATCH").update(value="128"),
    "it closes connections after 60 s": lambda o: variable(o, "APUS_IDLE_TIMEOUT").update(value="60"),
    "enableServiceLinks would set APUS_PORT": lambda o: spec_of(o, "Deployment", "apus")["template"]["spec"].pop("enableServiceLinks"),
    "two objects have the same kind and name": lambda o: o.append(copy.deepcopy(o[0])),
}


@pytest.mark.parametrize("said", WRONG_REFERENCES)
def test_a_wrong_reference_is_found(built, said):
    objects = copy.deepcopy(built["canary"])
    WRONG_REFERENCES[said](objects)
    problems = manifests.reference_problems(objects, keys())
    assert any(said in problem for problem in problems), problems


WRONG_BY_SCHEMA: dict[str, tuple[str, Callable[[list[dict]], object]]] = {
    "Deployment apus": ("canary", lambda o: container(o).update(readynessProbe={})),
    "Service apus": ("canary", lambda o: spec_of(o, "Service", "apus")["ports"][0].update(port="eighty")),
    "HorizontalPodAutoscaler apus": ("canary", lambda o: spec_of(o, "HorizontalPodAutoscaler").update(minReplica=2)),
    "ServiceMonitor apus": ("canary", lambda o: spec_of(o, "ServiceMonitor")["endpoints"][0].update(pfad="/metrics")),
    "ServiceMonitor apus: 1 validation": ("canary", lambda o: spec_of(o, "ServiceMonitor")["endpoints"][0].update(interval="often")),
    "HTTPRoute apus: $.spec.rules[1].backendRefs[0].weight": (
        "canary", lambda o: spec_of(o, "HTTPRoute")["rules"][1]["backendRefs"][0].update(weight="95")),
    "HTTPRoute apus: $.spec: Additional": ("canary", lambda o: spec_of(o, "HTTPRoute").update(hosts=["apus.example.com"])),
    "spec.predictor.maxReplica is unknown": ("kserve", lambda o: spec_of(o, "InferenceService")["predictor"].update(maxReplica=2)),
    "spec.predictor.minReplicas is '2'": ("kserve", lambda o: spec_of(o, "InferenceService")["predictor"].update(minReplicas="2")),
    "spec.containers.0: Additional": ("kserve", lambda o: spec_of(o, "InferenceService")["predictor"]["containers"][0].update(imag="x")),
    "spec.preditor is unknown": ("kserve", lambda o: spec_of(o, "InferenceService").update(preditor={})),
}


@pytest.mark.parametrize("said", WRONG_BY_SCHEMA)
def test_what_a_schema_does_not_know_is_found(built, said):
    name, spoil = WRONG_BY_SCHEMA[said]
    objects = copy.deepcopy(built[name])
    spoil(objects)
    problems = manifests.schema_problems(objects)
    assert any(said in problem for problem in problems), problems


def test_options_that_the_binary_does_not_know_are_found(built, flags):
    spoiled = copy.deepcopy(container(built["apus"]))
    spoiled["args"].append("--workers")
    spoiled["env"] += [{"name": "APUS_WORKERS", "value": "2"}, {"name": "PROTOCOL", "value": "v2"}]
    assert manifests.option_problems(spoiled, flags) == ["no option --workers", "no variable APUS_WORKERS"]


@pytest.mark.parametrize("said, spoil", [
    ("it may run as root", lambda spec: spec["securityContext"].update(runAsUser=0)),
    ("it may run as root", lambda spec: spec["containers"][0]["securityContext"].update(runAsNonRoot=False)),
    ("no seccomp profile", lambda spec: spec["securityContext"].pop("seccompProfile")),
    ("hostNetwork", lambda spec: spec.update(hostNetwork=True)),
    ("a volume of the host", lambda spec: spec.update(volumes=[{"name": "x", "hostPath": {"path": "/"}}])),
    ("a token of the cluster", lambda spec: spec.pop("automountServiceAccountToken")),
    ("it may gain rights", lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation")),
    ("it has capabilities", lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(add=["NET_RAW"])),
    ("its root can be written to", lambda spec: spec["containers"][0]["securityContext"].pop("readOnlyRootFilesystem")),
])
def test_too_many_rights_are_found(built, said, spoil):
    spec = copy.deepcopy(specifications(built["apus"])[0])
    spoil(spec)
    assert any(said in problem for problem in manifests.right_problems(spec))


# A real server

@pytest.fixture
def run(apus: Path, tmp_path: Path) -> Iterator[Callable[..., pods.Pod]]:
    """Runs a pod; ends it after the test, which fails where it did not leave as it should."""
    running: list[pods.Pod] = []
    tmp_path.chmod(0o755)

    def run(spec: dict, **arguments) -> pods.Pod:
        try:
            pod = pods.Pod(spec, apus, SECRETS, IMAGE, tmp_path, **arguments)
            running.append(pod)
            pod.wait_until_started()
        except pods.CannotRun as reason:
            pytest.skip(str(reason))
        return pod

    yield run
    statuses = [pod.stop() for pod in running]
    assert all(status == 0 for status in statuses), [pod.log()[-2000:] for pod in running]


def failed_probes(pod: pods.Pod) -> list[str]:
    return [name for name in ("startupProbe", "livenessProbe", "readinessProbe") if not pod.passes(pod.container[name])]


def predict(pod: pods.Pod, text: str, key: str = KEY, port: int = 7860) -> tuple[int, dict]:
    body = json.dumps({"text": text}).encode()
    status, answer = pod.request("POST", port, "/predict", body, Content_Type="application/json", Authorization=f"Bearer {key}")
    return status, json.loads(answer)


def predict_many(pod: pods.Pod, texts: list[str]) -> int:
    body = json.dumps({"texts": texts}).encode()
    return pod.request("POST", 7860, "/predict", body, Content_Type="application/json", Authorization=f"Bearer {KEY}")[0]


def requests_in_progress(pod: pods.Pod) -> int:
    text = pod.request("GET", 7860, "/metrics", Authorization=f"Bearer {KEY}")[1].decode()
    return int(float(next(line for line in text.splitlines() if line.startswith("http_requests_in_progress ")).split()[1]))


def test_the_container_serves_as_its_user_on_a_read_only_root_and_answers_its_probes(built, run):
    spec = specifications(built["apus"])[0]
    pod = run(spec, services={"apus": 80})
    status = pod.status()
    assert status["Uid"].split() == ["1000"] * 4 and status["Gid"].split() == ["1000"] * 4
    assert all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")) and status["NoNewPrivs"].strip() == "1"
    mounts = Path(f"/proc/{pod.process.pid}/mountinfo").read_text().splitlines()
    assert any(line.split()[4] == "/" and line.split()[5].startswith("ro") for line in mounts), "the root can be written to"
    assert failed_probes(pod) == []
    assert predict(pod, "I love MLOps")[1]["label"] == "positive"
    answer = json.loads(pod.request("GET", 7860, "/status", Authorization=f"Bearer {KEY}")[1])
    assert answer["threads"] == 2 and answer["gate"]["passed"] and answer["self_test"]["passed"]
    assert answer["limits"]["grace_period_seconds"] == 20 and answer["limits"]["max_connections"] == 256


@pytest.mark.parametrize("name", ["apus", "kserve"])
def test_a_pod_whose_connections_are_all_taken_answers_its_probes_and_new_clients(built, run, name):
    spec = specifications(built[name])[0]
    pod = run(spec)
    container = spec["containers"][0]
    port = container["ports"][0]["containerPort"]
    with ExitStack() as held:
        for _ in range(int(pods.environment(container, SECRETS)["APUS_MAX_CONNECTIONS"])):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.sock = held.enter_context(pod.connect(port))
            connection.request("GET", "/health/live")  # What is answered waits in the backlog no more.
            answer = connection.getresponse()
            assert answer.status == 200 and not answer.will_close
            answer.read()
        time.sleep(0.2)  # which one that was served may be idle and keep its place
        assert failed_probes(pod) == []
        assert predict(pod, "I love MLOps", port=port)[0] == 200


def test_clients_of_one_text_each_are_told_when_a_pod_is_full(built, run):
    pod = run(specifications(built["apus"])[0])
    statuses: Counter[int] = Counter()
    pods.parallel(lambda _: statuses.update([predict(pod, "word " * 500)[0]]), 250)
    assert statuses.keys() == {200, 429} and statuses[200] >= 128, statuses


def test_the_key_of_the_secret_opens_predictions_and_metrics_and_nothing_else_does(built, run):
    pod = run(specifications(built["apus"])[0])
    assert predict(pod, "hello", key="another")[0] == 401 and predict(pod, "hello")[0] == 200
    monitor, = manifests.of_kind(built["apus"], "ServiceMonitor")
    endpoint, = monitor["spec"]["endpoints"]
    path, credentials = endpoint["path"], endpoint["authorization"]["credentials"]
    key = SECRETS[credentials["name"]][credentials["key"]]
    assert pod.request("GET", 7860, path)[0] == 401
    status, text = pod.request("GET", 7860, path, Authorization=f"{endpoint['authorization']['type']} {key}")
    assert status == 200 and b"\napus_queue_depth{model=" in text, "the queue's autoscaler has no metric"


def test_a_service_named_apus_keeps_no_container_from_starting_with_or_without_what_the_manifest_says(built, apus, run):
    spec = copy.deepcopy(specifications(built["apus"])[0])
    assert spec.pop("enableServiceLinks") is False, "variables that say nothing, and a warning, else"
    run(spec, services={"apus": 80})
    # --port among the arguments comes before the variable; without it, the variable is no port either.
    process = subprocess.Popen([apus, "serve"], env=pods.service_links("apus", 80) | {"AIP_HTTP_PORT": "0"},
                               stderr=subprocess.PIPE, text=True)
    warning, serving = process.stderr.readline(), process.stderr.readline()
    process.terminate()
    process.communicate(timeout=20)
    assert "warning APUS_PORT is tcp://" in warning and "enableServiceLinks" in warning
    assert " serving " in serving and process.returncode == 0


def test_after_sigterm_it_is_not_ready_finishes_what_it_has_and_leaves_in_time(built, run):
    spec = specifications(built["apus"])[0]
    pod = run(spec)
    statuses = []
    work = threading.Thread(target=lambda: statuses.append(predict_many(pod, ["word " * 300] * 64)))
    work.start()
    while not statuses and requests_in_progress(pod) < 2:  # The work, and this question.
        pass
    pod.process.send_signal(signal.SIGTERM)
    assert not statuses, "the work was done before the signal came"
    time.sleep(0.1)
    assert "readinessProbe" in failed_probes(pod)
    work.join()
    assert statuses == [200]
    given = spec["terminationGracePeriodSeconds"] - spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod.process.wait(given) == 0


def test_memory_stays_within_the_limit_under_load_and_under_clients_that_mean_no_good(built, run, data):
    """As many connections as are allowed, each with the largest body that is allowed, all in memory at the same time."""
    spec = specifications(built["apus"])[0]
    pod = run(spec)
    limit = pods.quantity(spec["containers"][0]["resources"]["limits"]["memory"])
    variables = {found["name"]: found.get("value") for found in spec["containers"][0]["env"]}
    texts = tweets.read(data, "test")[:320]
    statuses: Counter[int] = Counter()

    def usual(number: int) -> None:
        statuses.update(predict(pod, text)[0] for text in texts[number::32])

    pods.parallel(usual, 32)
    assert statuses == {200: 320}

    size = int(variables["APUS_MAX_BODY_BYTES"])
    count = int(variables["APUS_MAX_CLIENT_BATCH"])
    body = json.dumps({"texts": ["word " * (380 * 128 // count)] * count}).encode()
    body += b" " * (size - len(body))
    head = (f"POST /predict HTTP/1.1\r\nHost: apus\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {size}\r\nConnection: close\r\n\r\n").encode()
    answers: Counter[bytes] = Counter()

    def hostile(_: int) -> None:
        with pod.connect(7860, timeout=60) as connection:
            connection.sendall(head + body[:-1])
            time.sleep(3)
            connection.sendall(body[-1:])
            answers[connection.recv(4096)[9:12]] += 1

    pods.parallel(hostile, int(variables["APUS_MAX_CONNECTIONS"]) - 8)
    assert answers[b"429"] > 100 and answers.keys() <= {b"200", b"429", b"504"}, answers
    assert predict(pod, "I love MLOps")[1]["label"] == "positive"
    peak = int(pod.status()["VmHWM"].split()[0]) * 1024
    print(f"resident at most {peak / 1e6:.0f} MB, the control group {pod.memory.peak() / 1e6:.0f} MB of {limit / 1e6:.0f} MB")
    assert pod.memory.kills() == 0
    assert peak < 0.9 * limit


def test_a_memory_limit_that_is_too_low_is_noticed(built, apus, tmp_path):
    """So that the test above can fail."""
    spec = copy.deepcopy(specifications(built["apus"])[0])
    spec["containers"][0]["resources"]["limits"]["memory"] = "32Mi"
    tmp_path.chmod(0o755)
    try:
        pod = pods.Pod(spec, apus, SECRETS, IMAGE, tmp_path)
    except pods.CannotRun as reason:
        pytest.skip(str(reason))
    try:
        with pytest.raises(AssertionError, match="ended with status -9"):
            pod.wait_until_started()
        assert pod.memory.kills() > 0
    finally:
        pod.stop()


def test_kserve_finds_the_model_by_the_name_of_the_inference_service(built, run):
    service, = built["kserve"]
    spec = service["spec"]["predictor"]
    assert {"name": "PROTOCOL", "value": "v2"} in spec["containers"][0]["env"]
    pod = run(spec, services={service["metadata"]["name"] + "-predictor": 80})
    port = spec["containers"][0]["ports"][0]["containerPort"]
    assert failed_probes(pod) == []
    body = json.dumps({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["I love it", "I hate it"]}]})
    status, answer = pod.request(
        "POST", port, f"/v2/models/{service['metadata']['name']}/infer", body.encode(), Content_Type="application/json")
    outputs = {output["name"]: output["data"] for output in json.loads(answer)["outputs"]}
    assert status == 200 and outputs["label"] == ["positive", "negative"]
