"""What can be wrong with Kubernetes manifests, without a cluster. Every check takes objects and returns what it found wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

from pod import quantity

# The oldest that knows everything that is used here (preStop's sleep), and the newest there is a schema for.
VERSIONS = ("1.30", "1.37")

WORKLOADS = ("Deployment",)
OURS = "app.kubernetes.io/name"


def build(folder: Path) -> list[dict]:
    """The objects of a kustomization, by kubectl, which asks no cluster for that."""
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = beside if beside.exists() else shutil.which("kubectl")
    result = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr  # Deprecations.
    return list(yaml.safe_load_all(result.stdout))


def of_kind(objects: list[dict], *kinds: str) -> list[dict]:
    return [found for found in objects if found["kind"] in kinds]


def name(thing: dict) -> str:
    return f"{thing['kind']} {thing['metadata']['name']}"


def pods(objects: list[dict]) -> list[tuple[dict, dict, dict]]:
    """Each workload with the labels and the specification of its pods."""
    return [(found, found["spec"]["template"]["metadata"]["labels"], found["spec"]["template"]["spec"])
            for found in of_kind(objects, *WORKLOADS)]


# Schemas

def schema_problems(objects: list[dict]) -> list[str]:
    problems = []
    for thing in objects:
        validate = {"ServiceMonitor": service_monitor, "InferenceService": inference_service, "HTTPRoute": http_route}.get(
            thing["kind"], core)
        problems += [f"{name(thing)}: {problem}" for problem in validate(thing)]
    return problems


def core(thing: dict) -> list[str]:
    problems = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{version}: {'.'.join(map(str, error.path))}: {error.message}")
    return problems


def service_monitor(thing: dict) -> list[str]:
    """By the models that cloudcoil generates from the operator's own definitions. They pass over fields they do not know,
    so what went in must come out again."""
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor
    from pydantic import ValidationError

    try:
        read = ServiceMonitor.model_validate(thing).model_dump(exclude_unset=True, by_alias=True, mode="json")
    except ValidationError as error:
        return [str(error)]
    return [] if read["spec"] == thing["spec"] else [f"fields that no ServiceMonitor has: {thing['spec']} became {read['spec']}"]


def inference_service(thing: dict) -> list[str]:
    """KServe's fields by its own client's models, the pod's by Kubernetes' schema."""
    from kserve import V1beta1InferenceServiceSpec, V1beta1PredictorSpec
    from kubernetes.client import V1PodSpec

    problems = []
    if thing["apiVersion"] != "serving.kserve.io/v1beta1":
        problems.append(f"apiVersion {thing['apiVersion']}")
    types = {json: V1beta1PredictorSpec.openapi_types[attribute]
             for attribute, json in V1beta1PredictorSpec.attribute_map.items()}
    of_pod = set(V1PodSpec.attribute_map.values())
    known = V1beta1InferenceServiceSpec.attribute_map.values()
    problems += [f"spec.{field} is unknown" for field in thing["spec"].keys() - known]
    predictor = thing["spec"]["predictor"]
    for field, value in predictor.items():
        if field not in types:
            problems.append(f"spec.predictor.{field} is unknown")
        elif (kind := {"int": int, "str": str, "bool": bool}.get(types[field])) and type(value) is not kind:
            problems.append(f"spec.predictor.{field} is {value!r}, not of type {types[field]}")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": thing["metadata"]["name"]},
           "spec": {field: value for field, value in predictor.items() if field in of_pod}}
    return problems + core(pod)


HTTP_ROUTE_RULE = {
    "type": "object", "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "matches": {"type": "array", "maxItems": 64, "items": {
            "type": "object", "additionalProperties": False, "properties": {
                "method": {"enum": ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]},
                "path": {"type": "object", "additionalProperties": False, "properties": {
                    "type": {"enum": ["Exact", "PathPrefix", "RegularExpression"]}, "value": {"type": "string", "maxLength": 1024}}},
                "headers": {"type": "array", "minItems": 1, "maxItems": 16, "items": {
                    "type": "object", "additionalProperties": False, "required": ["name", "value"], "properties": {
                        "type": {"enum": ["Exact", "RegularExpression"]},
                        "name": {"type": "string", "pattern": r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", "maxLength": 256},
                        "value": {"type": "string", "minLength": 1, "maxLength": 4096}}}}}}},
        "backendRefs": {"type": "array", "maxItems": 16, "items": {
            "type": "object", "additionalProperties": False, "required": ["name"], "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 253}, "namespace": {"type": "string"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "weight": {"type": "integer", "minimum": 0, "maximum": 1_000_000}}}},
        "timeouts": {"type": "object", "additionalProperties": False, "properties": {
            field: {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"} for field in ("request", "backendRequest")}},
    },
}
# Of Gateway API's HTTPRoute v1, the standard channel, what is used here (no package on PyPI carries its definition).
HTTP_ROUTE = {
    "type": "object", "additionalProperties": False, "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "gateway.networking.k8s.io/v1"}, "kind": {"const": "HTTPRoute"}, "metadata": {"type": "object"},
        "spec": {"type": "object", "additionalProperties": False, "properties": {
            "parentRefs": {"type": "array", "maxItems": 32, "items": {
                "type": "object", "additionalProperties": False, "required": ["name"], "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 253},
                    "namespace": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
                    "sectionName": {"type": "string", "minLength": 1, "maxLength": 253}}}},
            "hostnames": {"type": "array", "maxItems": 16, "items": {
                "type": "string", "minLength": 1, "maxLength": 253,
                "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}},
            "rules": {"type": "array", "minItems": 1, "maxItems": 16, "items": HTTP_ROUTE_RULE}}},
    },
}


def http_route(thing: dict) -> list[str]:
    from jsonschema import Draft202012Validator

    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(HTTP_ROUTE).iter_errors(thing)]


# What refers to what

def selects(selector: dict, labels: dict) -> bool:
    """A label selector, of matchLabels and matchExpressions or plain as a Service's."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    tests = {"In": lambda key, values: labels.get(key) in values, "Exists": lambda key, _: key in labels,
             "NotIn": lambda key, values: labels.get(key) not in values, "DoesNotExist": lambda key, _: key not in labels}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        tests[each["operator"]](each["key"], each.get("values", ())) for each in selector.get("matchExpressions", []))


def reference_problems(objects: list[dict], secrets: dict[str, set[str]]) -> list[str]:
    """Selectors without a match, ports and names that are not there, pods that two workloads would both take for theirs."""
    problems = []
    workloads = pods(objects)
    services = of_kind(objects, "Service")
    named = {(thing["kind"], thing["metadata"]["name"]) for thing in objects}

    if len(named) != len(objects):
        problems.append("two objects have the same kind and name")
    for workload, labels, spec in workloads:
        if not selects(workload["spec"]["selector"], labels):
            problems.append(f"{name(workload)} does not select its own pods")
        for other, other_labels, _ in workloads:
            if other is not workload and selects(workload["spec"]["selector"], other_labels):
                problems.append(f"{name(workload)} selects the pods of {name(other)}")
        for constraint in spec["topologySpreadConstraints"]:
            if not selects(constraint["labelSelector"], labels):
                problems.append(f"{name(workload)} spreads pods that are not its own over {constraint['topologyKey']}")
        problems += [f"{name(workload)}: {problem}" for problem in container_problems(spec, secrets)]
        if not any(selects(service["spec"]["selector"], labels) for service in services):
            problems.append(f"{name(workload)} is behind no Service")

    for service in services:
        behind = [spec for _, labels, spec in workloads if selects(service["spec"]["selector"], labels)]
        if not behind:
            problems.append(f"{name(service)} selects no pods")
        for port in service["spec"]["ports"]:
            problems += [f"{name(service)}: its pods have no port {port['targetPort']}"
                         for spec in behind if port["targetPort"] not in port_names(spec)]
    for thing in of_kind(objects, "PodDisruptionBudget", "NetworkPolicy"):
        selector = thing["spec"].get("selector") or thing["spec"].get("podSelector")
        missed = [name(workload) for workload, labels, _ in workloads if not selects(selector, labels)]
        problems += [f"{name(thing)} leaves out the pods of {workload}" for workload in missed]
    for policy in of_kind(objects, "NetworkPolicy"):
        for port in (port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]):
            problems += [f"{name(policy)}: {name(workload)} has no port {port}"
                         for workload, _, spec in workloads if port not in port_names(spec)]
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) not in named:
            problems.append(f"{name(scaler)} scales {target['kind']} {target['name']}, which is not there")
        for workload in of_kind(objects, target["kind"]):
            if workload["metadata"]["name"] == target["name"] and "replicas" in workload["spec"]:
                problems.append(f"{name(workload)} fixes its replicas, which {name(scaler)} decides")
    for monitor in of_kind(objects, "ServiceMonitor"):
        problems += monitor_problems(monitor, services, workloads, secrets)
    for route in of_kind(objects, "HTTPRoute"):
        for backend in (backend for rule in route["spec"]["rules"] for backend in rule["backendRefs"]):
            found = [service for service in services if service["metadata"]["name"] == backend["name"]]
            if not found or backend["port"] not in [port["port"] for port in found[0]["spec"]["ports"]]:
                problems.append(f"{name(route)}: there is no Service {backend['name']} with port {backend['port']}")
    return problems


def monitor_problems(monitor: dict, services: list[dict], workloads: list, secrets: dict[str, set[str]]) -> list[str]:
    problems = []
    watched = [service for service in services if selects(monitor["spec"]["selector"], service["metadata"]["labels"])]
    for endpoint in monitor["spec"]["endpoints"]:
        if not all(endpoint["port"] in [port["name"] for port in service["spec"]["ports"]] for service in watched):
            problems.append(f"{name(monitor)}: a Service has no port {endpoint['port']}")
        credentials = endpoint["authorization"]["credentials"]
        if credentials["key"] not in secrets.get(credentials["name"], ()):
            problems.append(f"{name(monitor)}: there is no secret {credentials}")
    for workload, labels, _ in workloads:
        times = sum(selects(service["spec"]["selector"], labels) for service in watched)
        if times != 1:
            problems.append(f"{name(monitor)} scrapes the pods of {name(workload)} {times} times")
        problems += [f"{name(monitor)}: the pods of {name(workload)} have no label {label}"
                     for label in monitor["spec"]["podTargetLabels"] if label not in labels]
    return problems


def port_names(spec: dict) -> set[str | int]:
    return {port[key] for container in spec["containers"] for port in container["ports"] for key in ("name", "containerPort")}


def container_problems(spec: dict, secrets: dict[str, set[str]]) -> list[str]:
    """Of a pod's container: ports, probes, variables, times, sizes."""
    problems = []
    container, = spec["containers"]
    arguments = container["args"]
    listens_on = int(arguments[arguments.index("--port") + 1])
    if listens_on not in port_names(spec):
        problems.append(f"it listens on {listens_on}, and its ports are {container['ports']}")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if (port := container[probe]["httpGet"]["port"]) not in port_names(spec):
            problems.append(f"{probe} asks port {port}, and its ports are {container['ports']}")
    values = {}
    for variable in container["env"]:
        if variable["name"] in values:
            problems.append(f"{variable['name']} is set twice")
        values[variable["name"]] = variable.get("value")
        source = variable.get("valueFrom", {})
        if (secret := source.get("secretKeyRef")) and secret["key"] not in secrets.get(secret["name"], ()):
            problems.append(f"{variable['name']}: there is no secret {secret}")
        if (field := source.get("resourceFieldRef")) and field["containerName"] != container["name"]:
            problems.append(f"{variable['name']}: there is no container {field['containerName']}")
    needed = container["lifecycle"]["preStop"]["sleep"]["seconds"] + float(values["APUS_GRACE_PERIOD"])
    if spec["terminationGracePeriodSeconds"] < needed + 5:
        problems.append(f"it may take {needed} s to leave, and is killed after {spec['terminationGracePeriodSeconds']}")
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    if requests != limits:
        problems.append(f"requests {requests} are not limits {limits}")
    connections, queue = int(values["APUS_MAX_CONNECTIONS"]), int(values["APUS_MAX_QUEUE"])
    held = connections * int(values["APUS_MAX_BODY_BYTES"])
    # 298 MB is a server with an int8 RoBERTa-base; a body may be there three times: as bytes, as texts, as tokens.
    if quantity(limits["memory"]) < 298e6 + 3 * held:
        problems.append(f"clients may make it hold {held} bytes, too much beside a model within {limits['memory']}")
    if queue >= connections:
        problems.append(f"{connections} clients of one text each never fill a queue of {queue}")
    if int(values["APUS_MAX_CLIENT_BATCH"]) > queue / 2:
        problems.append(f"a request of {values['APUS_MAX_CLIENT_BATCH']} texts wants a queue of {queue} nearly empty")
    # nginx (keepalive_timeout of an upstream) and AWS' ALB keep idle connections 60 s.
    if float(values["APUS_IDLE_TIMEOUT"]) <= 60:
        problems.append(f"it closes connections after {values['APUS_IDLE_TIMEOUT']} s that a proxy may still use")
    if spec.get("enableServiceLinks", True):
        problems.append("enableServiceLinks would set APUS_PORT")
    return problems


# Options and rights

def option_problems(container: dict, flags: set[str]) -> list[str]:
    """Flags and APUS_ variables that the binary does not know."""
    variables = {"APUS_" + flag[2:].upper().replace("-", "_") for flag in flags} | {"APUS_FORCE_ISA"}
    problems = [f"no option {argument}" for argument in container["args"] if argument.startswith("--") and argument not in flags]
    return problems + [f"no variable {variable['name']}" for variable in container["env"]
                       if variable["name"].startswith("APUS_") and variable["name"] not in variables]


def flags_of(help_text: str) -> set[str]:
    return set(re.findall(r"^  (--[a-z0-9-]+)", help_text, re.MULTILINE)) - {"--version"}


def right_problems(spec: dict) -> list[str]:
    """What Kubernetes' restricted pod security standard refuses, and a root that can be written to."""
    problems = []
    pod = spec.get("securityContext", {})
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        problems.append("no seccomp profile")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            problems.append(field)
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        problems.append("a volume of the host")
    if spec.get("automountServiceAccountToken", True):
        problems.append("a token of the cluster that it has no use for")
    for container in spec["containers"]:
        context = pod | container.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("runAsUser", 0) == 0:
            problems.append("it may run as root")
        if context.get("allowPrivilegeEscalation", True) or context.get("privileged"):
            problems.append("it may gain rights")
        if "ALL" not in context.get("capabilities", {}).get("drop", []) or context["capabilities"].get("add"):
            problems.append("it has capabilities")
        if not context.get("readOnlyRootFilesystem"):
            problems.append("its root can be written to")
    return problems
