"""deploy/'s files for monitoring: that the tools take them, and that they agree with one another and with the server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import requests

from monitoring import DEPLOY, alerts, dashboard, queries, read_yaml
from supplies import tool

# Of the server's figures, those that no panel shows: how much is mapped is no use of memory; throttling is there only under
# a quota.
NOT_SHOWN = {"process_virtual_memory_bytes", "apus_cpu_throttled_periods"}
# Grafana's names of units: requests and other things a second, a share from 0 to 1, seconds, bytes, plain numbers.
UNITS = {"reqps", "cps", "percentunit", "s", "bytes", "short"}
UNIT_TESTS = ("alerts_test.yml", "alerts_day_test.yml")
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def promtool(*arguments: str, cwd: Path = DEPLOY / "prometheus") -> str:
    ran = subprocess.run([tool("promtool"), *arguments], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_prometheus_takes_its_configurations(tmp_path):
    # The Space's wants the file with the token, which is in nobody's repository.
    folder = shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (folder / "space.token").write_text("hf_…", encoding="utf-8")
    for name in ("prometheus.yml", "space.yml"):
        assert "10 rules found" in promtool("check", "config", name, cwd=folder)
    ignored = (DEPLOY / "prometheus/.gitignore").read_text(encoding="utf-8").split()
    assert read_yaml("prometheus/space.yml")["scrape_configs"][0]["authorization"]["credentials_file"] in ignored


def test_the_rules_pass_their_unit_tests():
    assert promtool("test", "rules", *UNIT_TESTS).count("SUCCESS") == len(UNIT_TESTS)


@pytest.mark.parametrize("old, new", [
    ("> 0.01", "> 0.03"), ("> 0.01", "> 0.001"), ("> 0.5", "> 0.8"), ("> 0.2\n", ">= 0.2\n"), ("> 0.05", "> 0.1"),
    ("> 200", "> 2"), ("for: 1m", "for: 15s"), ("for: 30m", "for: 20m"), ("for: 15m", "for: 25m"), ("absent(", "0 == ("),
    ('status=~"5.."', 'status=~"[45].."'), (', reason="queue_full"', ""), (', method="POST"', ""),
])
def test_the_unit_tests_notice_another_rule(tmp_path, old, new):
    folder = shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    rules = (folder / "alerts.yml").read_text(encoding="utf-8")
    assert old in rules
    (folder / "alerts.yml").write_text(rules.replace(old, new), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", *UNIT_TESTS, cwd=folder)


def test_every_alert_is_unit_tested_to_fire_and_not_to_fire():
    tested = [(one["alertname"], bool(one["exp_alerts"])) for name in UNIT_TESTS
              for test in read_yaml(f"prometheus/{name}")["tests"] for one in test["alert_rule_test"]]
    assert set(tested) == {(alert, fires) for alert in alerts() for fires in (True, False)}


def test_every_alert_says_what_how_bad_and_where_to_read_on():
    runbook = (DEPLOY / "runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", runbook, re.M) == list(alerts())
    for name, rule in alerts().items():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, name
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert "$value" in rule["annotations"]["description"], f"{name} does not say how much"
        assert rule["annotations"]["runbook"] == f"deploy/runbook.md#{name.lower()}"
        section = runbook.split(f"## {name}\n")[1].split("\n## ")[0]
        assert all(f"**{part}:**" in section for part in ("Means", "Look", "Do")), name
    titles = {panel["title"] for panel in dashboard()["panels"]}
    for title in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", runbook):
        assert " ".join(title.split()) in titles | {"Apus"}, f"the runbook sends its reader to {title}, which is no panel"


def test_a_window_of_now_is_no_longer_than_its_alert_waits():
    """Else one bad moment, which the window remembers, would fire."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    for name, rule in alerts().items():
        waits = int(rule["for"][:-1]) * seconds[rule["for"][-1]]
        for number, unit in re.findall(r"\[(\d+)([smhd])\](?! offset)", rule["expr"]):
            assert int(number) * seconds[unit] <= waits, name


def test_the_dashboard_shows_every_figure_of_the_server(server):
    # As the parser has them: a counter without its _total, a histogram without _bucket.
    shown = set()
    for query in queries():
        shown |= {re.sub(r"_(bucket|sum|count|total)$", "", name)
                  for name in re.findall(r"\b(?:apus|http|process)_\w+(?={)", query.target["expr"])}
    # What drift, a stored evaluation and feedback add is not there in every server.
    there = set(server.metrics().families) | {
        "apus_drift_psi", "apus_drift_js_distance", "apus_drift_embedding_distance", "apus_gate_accuracy", "apus_feedback",
        "apus_live_answers",
        "apus_live_accuracy", "apus_live_accuracy_bound", "apus_live_macro_recall", "apus_live_confidence"}
    assert shown == there - NOT_SHOWN


def test_the_dashboard_is_well_formed():
    found = dashboard()
    assert (found["uid"], found["schemaVersion"]) == ("apus", 41) and "id" not in found
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in ("row", "stat", "timeseries", "heatmap", "table"), panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == DATA_SOURCE, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references == list("ABCDEF"[:len(references)]) and references, panel["title"]
        unit = panel["fieldConfig"]["defaults"].get("unit") or panel["options"].get("yAxis", {}).get("unit")
        assert unit in UNITS or panel["type"] == "table", f"{panel['title']}: {unit}"
        for target in panel["targets"]:
            if target["expr"].count("_seconds") and unit not in ("s", "percentunit"):
                assert "process_cpu_seconds_total" in target["expr"], f"{panel['title']}: seconds shown as {unit}"
            assert target["expr"].count("job=~'$job', instance=~'$instance'") == target["expr"].count("{"), panel["title"]
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = (one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                 or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
        assert apart, f"{one} and {other} overlap"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    variables = found["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance"]
    assert all(variable["datasource"] == DATA_SOURCE for variable in variables[1:])


def test_grafanas_own_model_of_a_dashboard_knows_every_field():
    """grafana-foundation-sdk is generated from Grafana's schemas; what it does not know is lost when it reads and writes the
    dashboard. There is no Grafana where the tests run."""
    pytest.importorskip("grafana_foundation_sdk")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()

    def lost(before, after, place: str) -> list[str]:
        if isinstance(before, dict) and isinstance(after, dict):
            return [one for key, value in before.items()
                    for one in (lost(value, after[key], f"{place}.{key}") if key in after else [f"{place}.{key}"])]
        if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            return [one for number, pair in enumerate(zip(before, after)) for one in lost(*pair, f"{place}[{number}]")]
        return [] if before == after else [place]

    def round_trip(source: dict) -> list[str]:
        return lost(source, json.loads(JSONEncoder(sort_keys=True, indent=0).encode(Dashboard.from_json(source))), "")

    found = dashboard()
    # What Prometheus' plugin adds to an annotation is not in the schemas.
    for field in ("titleFormat", "textFormat", "step"):
        del found["annotations"]["list"][0][field]
    assert round_trip(found) == []
    found["panels"][1]["options"]["colourMode"] = "value"
    assert round_trip(found) == [".panels[1].options.colourMode"]


def test_the_rows_of_a_merged_table_merge():
    """Grafana makes one row of those that agree in all fields that every query has, and a metric's name is one such field:
    only an aggregation drops it."""
    merged = [panel for panel in dashboard()["panels"] if {"id": "merge", "options": {}} in panel.get("transformations", [])]
    assert merged
    for panel in merged:
        named = [target["expr"] for target in panel["targets"]
                 if not re.match(r"(sum|min|max|avg|count) by \(", target["expr"])]
        assert len(named) <= 1, f"{panel['title']}: {named}"


def test_requests_by_status_leave_out_scrapes_and_every_probe(start_server):
    [panel] = [panel for panel in dashboard()["panels"] if panel["title"] == "Requests by status"]
    left_out = re.search(r"handler!~'(.*?)'", panel["targets"][0]["expr"])[1]
    manifests = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.glob("kubernetes/*/*.yaml"))
    probed = set(re.findall(r"httpGet: {path: ([^,]+),", manifests))
    assert any(path.startswith("/v2/models/") for path in probed)
    server = start_server()
    for path in {"/metrics", "/health/live", "/v2/health/live", "/v2/models/any/versions/1/ready"} | probed:
        requests.get(server.url + path, timeout=10)
    handlers = {sample.labels["handler"] for sample in server.metrics().matching("http_requests_total", method="GET")}
    assert "/v2/models/{model}/ready" in handlers
    assert [handler for handler in handlers if not re.fullmatch(left_out, handler)] == []
    assert not any(re.fullmatch(left_out, handler) for handler in ("/predict", "/status", "/v2/models/{model}/infer"))


def test_the_bands_of_drift_are_those_of_the_alert():
    [panel] = [panel for panel in dashboard()["panels"] if panel["title"] == "Drift: population stability index"]
    bands = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert bands == [None, 0.1, 0.2] and alerts()["ApusDrift"]["expr"].endswith(f"> {bands[-1]}")
    [panel] = [panel for panel in dashboard()["panels"] if panel["title"] == "Drift: embeddings"]
    bands = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert alerts()["ApusEmbeddingDrift"]["expr"].endswith(f"> {bands[-1]}")


def test_grafana_finds_prometheus_its_interval_and_its_dashboard():
    [source] = read_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    services = read_yaml("compose.yaml")["services"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    assert "prometheus" in services
    # Else $__rate_interval would be shorter than two scrapes, and every graph empty.
    scrape = read_yaml("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape
    [provider] = read_yaml("grafana/provisioning/dashboards/apus.yaml")["providers"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    for path in (provider["options"]["path"] + "/apus.json", home):
        assert mounted(services["grafana"], path) == DEPLOY / "grafana/dashboards/apus.json"
    # On a read-only root Grafana's updater would unload the source's plugin.
    assert services["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    for folder in ("datasources", "dashboards"):
        assert mounted(services["grafana"], f"/etc/grafana/provisioning/{folder}").is_dir()


def test_prometheus_in_the_container_finds_its_files_and_the_server():
    services = read_yaml("compose.yaml")["services"]
    [config] = [option.removeprefix("--config.file=") for option in services["prometheus"]["command"] if "config" in option]
    assert mounted(services["prometheus"], config) == DEPLOY / "prometheus/prometheus.yml"
    config = read_yaml("prometheus/prometheus.yml")
    assert (DEPLOY / "prometheus" / config["rule_files"][0]).is_file()
    [target] = config["scrape_configs"][0]["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (DEPLOY / services[host]["build"]["context"]).resolve() == DEPLOY.parent


def test_containers_have_no_more_than_they_need():
    compose = read_yaml("compose.yaml")
    users = {"server": "1000:1000", "prometheus": "65534:65534", "grafana": "472:0"}
    assert set(compose["services"]) == set(users)
    for name, service in compose["services"].items():
        assert service["read_only"] is True and service["user"] == users[name], name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] and service["mem_limit"] and service["healthcheck"]["interval"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), f"{name} is open to the network"
        assert "build" in service or re.fullmatch(r"[\w./-]+:v?[\d.]+@sha256:[0-9a-f]{64}", service["image"]), name
        assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service), name
        for volume in service.get("volumes", []):
            source, *_, mode = volume.split(":")
            assert source in compose["volumes"] or mode == "ro", f"{name} may write to {source}"
    password = compose["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    # The form that makes compose refuse to start where the variable is unset or empty.
    assert re.fullmatch(r"\$\{GF_SECURITY_ADMIN_PASSWORD:\?[^}]+\}", password)


def mounted(service: dict, path: str) -> Path:
    """Where a path in a container comes from."""
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        if path == target or path.startswith(target + "/"):
            return (DEPLOY / source).resolve() / path.removeprefix(target).lstrip("/")
    raise AssertionError(f"nothing is mounted at {path}")
