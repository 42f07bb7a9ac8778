"""What deploy/ holds for monitoring, as Prometheus and Grafana would use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

# Days pass in seconds: the one thing that is changed in rules and queries before a test runs them. The order stays, so a
# window is still as long as its `for` at most.
FASTER = {"1m": "3s", "5m": "6s", "10m": "8s", "15m": "8s", "30m": "8s", "1h": "8s", "1d": "16s"}


def faster(expression: str) -> str:
    """An expression with its windows and offsets by FASTER."""
    return re.sub(r"(\[|\boffset )(\d+[smhd])\b", lambda match: match[1] + FASTER[match[2]], expression)


def faster_rules(rules: dict) -> dict:
    """Rules with their `for`, windows and offsets by FASTER, and nothing else changed."""
    return {"groups": [group | {"rules": [rule | {"for": FASTER[rule["for"]], "expr": faster(rule["expr"])}
                                          for rule in group["rules"]]} for group in rules["groups"]]}


def read_yaml(name: str) -> dict:
    return yaml.safe_load(DEPLOY.joinpath(name).read_text(encoding="utf-8"))


def alerts() -> dict[str, dict]:
    """The alert rules by name."""
    rules = [rule for group in read_yaml("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


def observed(expression: str) -> str:
    """What an alert watches: its expression without the comparisons that make an alert of it, or `absent`'s argument. On a
    server that is well the alert's own expression has no result; this one must have. Such a server has answered nothing
    with 5xx either, so it is taken for any status."""
    if absent := re.fullmatch(r"absent\((.*)\)", expression):
        return absent[1]
    watched, comparisons = re.subn(r"\s*(==|>|<)\s*[\d.]+", "", expression.replace('"5.."', '"..."'))
    assert comparisons > 0, f"nothing is compared in {expression}"
    return watched


def dashboard() -> dict:
    return json.loads(DEPLOY.joinpath("grafana/dashboards/apus.json").read_text(encoding="utf-8"))


@dataclass
class Query:
    panel: dict
    target: dict

    def __str__(self) -> str:
        return f"{self.panel['title']} ({self.target['refId']})"


def queries() -> Iterator[Query]:
    """Every query of the dashboard's panels."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield Query(panel, target)


def as_grafana_asks(expression: str, scrape_interval: int, interval: int, **variables: list[str]) -> str:
    """An expression with what Grafana puts in for its variables: of one that allows several values, the values that are
    chosen as alternatives of a regular expression, escaped for it and for PromQL's quotes.
    https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/

    - scrape_interval: the data source's timeInterval, in seconds; interval: from one point of the graph to the next.
    """
    def escaped(value: str) -> str:
        return re.sub(r"[\\^$.*+?()\[\]{}|]", r"\\\\\g<0>", value)

    for name, values in variables.items():
        value = escaped(values[0]) if len(values) == 1 else "(" + "|".join(map(escaped, values)) + ")"
        expression = re.sub(rf"\${name}\b", lambda _: value, expression)
    rate_interval = max(interval + scrape_interval, 4 * scrape_interval)
    expression = expression.replace("$__rate_interval", f"{rate_interval}s")
    assert "$" not in expression, f"a variable that nobody knows is left in {expression}"
    return expression
