"""deploy/'s rules and dashboard in a real Prometheus that watches real servers: one that is well, and one for each alert,
with which the fault is made that the alert is for. All of it happens at once, since windows take their time."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pytest
import requests

from apus_server import Server, until
from monitoring import alerts, as_grafana_asks, dashboard, faster, faster_rules, observed, queries, read_yaml
from prometheus_server import Prometheus
from supplies import FEATURES, SHIPPED, TINY, tweets
from traffic import hammer, long_texts, send_batch

WELL = "apus"
# Long enough that every window lies inside, and the past that confidence is compared with has some seconds.
WELL_SECONDS = 12
NO_DRIFT = ("--drift-min-samples", "1000000", "--drift-window", "1000000")
DRIFT = ("--drift-min-samples", "200", "--drift-window", "300")
# The shadow says other things than the model that answers; the canary the same.
ROLLOUT = ("--model", f"a={SHIPPED}", "--model", f"b={SHIPPED}", "--model", f"c={TINY}", "--canary", "b=50%", "--shadow", "c")


class Clients(threading.Thread):
    """Ask a fault's server again and again, first as usual, and for trouble once the fault is made. What goes wrong with
    that is in `failure`, the seconds of the longest turn in `longest`."""

    def __init__(self, fault: Fault):
        super().__init__(daemon=True)
        self.fault = fault
        self.ask: Callable[[], None] = fault.ask
        self.failure: Exception | None = None
        self.longest = 0.0
        self._stopping = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopping.wait(self.fault.pause):
            began = time.monotonic()
            try:
                self.ask()
            except Exception as error:
                self.failure = error
                return
            self.longest = max(self.longest, time.monotonic() - began)

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        assert not self.is_alive(), "a client never got its answer"


class Lookout(threading.Thread):
    """Notes the alerts that fire, by job and name, as they are then: some end by themselves."""

    def __init__(self, prometheus: Prometheus):
        super().__init__(daemon=True)
        self.prometheus = prometheus
        self.fired: dict[tuple[str, str], list[dict]] = {}
        self._stopping = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopping.wait(0.5):
            for alert in self.prometheus.alerts():
                if alert["state"] == "firing":
                    place = (alert["labels"].get("job", ""), alert["labels"]["alertname"])
                    self.fired.setdefault(place, []).append(alert)

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)


@dataclass
class Watched:
    """The servers by job, whoever asks them, and the Prometheus that watches them."""

    prometheus: Prometheus
    config: dict
    servers: dict[str, Server]
    clients: dict[str, Clients]
    lookout: Lookout

    def unasked(self) -> set[tuple[str, str]]:
        """What has fired so far and is no fault of the tests. On a machine that is busy with something else a server may
        really be slow: ApusSlow counts where no client had to wait. One text for all is drift of both kinds."""
        made = {(job_of(alert), alert) for alert in FAULTS}
        made |= {(job_of(one), other) for one, other in permutations(("ApusDrift", "ApusEmbeddingDrift"))}
        slow = {(job, "ApusSlow") for job, clients in self.clients.items() if clients.longest > 0.5}
        return set(self.lookout.fired) - made - slow

    def series(self, query: str, instant: bool = False, now: float | None = None) -> list[dict]:
        """What a query of the dashboard gives for the server that is well, over the last ten seconds."""
        now = now or time.time()
        asked = as_grafana_asks(faster(query), 1, 1, job=[WELL], instance=[f"127.0.0.1:{self.servers[WELL].port}"])
        if instant:
            return [series | {"values": [series["value"]]} for series in self.prometheus.query(asked)]
        return self.prometheus.query_range(asked, now - 10, now)


class Fault:
    """How a server is asked while it is well, and what is done to it so that an alert must fire."""

    options: tuple[str, ...] = NO_DRIFT
    pause = 0.1

    def __init__(self, server: Server):
        self.server = server

    def ask(self) -> None:
        assert self.server.predict("I love MLOps").status_code == 200

    def make(self, clients: Clients) -> None:
        """From now on, or once."""
        clients.ask = self.ask_for_trouble

    def ask_for_trouble(self) -> None:
        raise NotImplementedError

    def ask_for(self, *texts: str, status: int = 200) -> None:
        answer = send_batch(self.server.port, list(texts))
        assert answer.status == status, answer


class Killed(Fault):
    def make(self, clients: Clients) -> None:
        clients.stop()
        self.server.process.kill()
        self.server.wait(10)


class Late(Fault):
    """A batch that takes longer than the server may take to answer ends in a 504."""

    options = ("--request-timeout", "0.5", "--threads", "1", *NO_DRIFT)
    texts = long_texts(128)

    def ask(self) -> None:
        # Beside so many servers even this may be late now and then; one in many is no alert.
        assert self.server.predict("I love MLOps").status_code in (200, 504)

    def ask_for_trouble(self) -> None:
        for _ in range(5):
            self.ask()
        self.ask_for(*self.texts, status=504)


class LargeBatches(Fault):
    """Four clients with batches that take half a second each, whatever the CPU, and whoever comes behind them waits for
    all."""

    options = ("--request-timeout", "60", "--threads", "1", *NO_DRIFT)

    def __init__(self, server: Server):
        super().__init__(server)
        start = time.monotonic()
        self.ask_for(*long_texts(2))
        self.texts = long_texts(max(2, min(25, round(2 * 0.5 / (time.monotonic() - start)))))

    def ask_for_trouble(self) -> None:
        answers = hammer(self.server.port, ["a batch"] * 4, connections=4, body=lambda _: {"texts": self.texts})
        assert [answer.status for answer in answers] == [200] * 4


class Flood(Fault):
    options = ("--max-queue", "1", "--max-client-batch", "1", "--threads", "1", *NO_DRIFT)
    texts = long_texts(12)

    def ask_for_trouble(self) -> None:
        statuses = {answer.status for answer in hammer(self.server.port, self.texts, connections=6)}
        assert statuses <= {200, 429}, statuses


class OneText(Fault):
    """All at once everybody says the same, which is nothing like the profile."""

    options = DRIFT

    def __init__(self, server: Server, usual: list[str]):
        super().__init__(server)
        self.usual = usual
        self.turn = 0

    def ask(self) -> None:
        self.turn += 25
        self.ask_for(*(self.usual[(self.turn + place) % len(self.usual)] for place in range(25)))

    def ask_for_trouble(self) -> None:
        self.ask_for(*["I hate this"] * 25)


class Wrong(Fault):
    """Whoever judges the answers finds them right, and then all wrong."""

    options = ("--feedback-window-time", "4", *NO_DRIFT)
    right = True

    def ask(self) -> None:
        for text in ("I love MLOps", "I hate this"):
            judge(self.server, text, lambda _: self.right)

    def ask_for_trouble(self) -> None:
        self.right = False
        self.ask()


def judge(server: Server, text: str, is_right: Callable[[str], bool]) -> None:
    answer = server.predict(text)
    label = answer.json()["label"] if is_right(answer.headers["X-Apus-Model"]) else "neutral"
    told = {"request_id": answer.headers["X-Request-Id"], "label": label}
    assert requests.post(server.url + "/feedback", json=told, timeout=10).status_code == 200


class WorseCanary(Fault):
    """Whoever judges finds all answers right, and then those of the canary wrong."""

    options = (*ROLLOUT, *NO_DRIFT)
    right = True

    def ask(self) -> None:
        for text in ("I love MLOps", "I hate this") * 2:
            judge(self.server, text, lambda model: self.right or model.startswith("a@"))

    def ask_for_trouble(self) -> None:
        self.right = False
        self.ask()


class Unsure(Fault):
    pause = 0.2

    def __init__(self, server: Server, known: dict[str, dict]):
        super().__init__(server)
        by_score = sorted(known, key=lambda text: known[text]["score"])
        self.unsure, self.sure = by_score[:64], by_score[-64:]

    def ask(self) -> None:
        self.ask_for(*self.sure)

    def ask_for_trouble(self) -> None:
        self.ask_for(*self.unsure)


class Silence(Fault):
    def make(self, clients: Clients) -> None:
        clients.stop()


class Usual(Fault):
    """Not a fault: some of everything that a server that is well is asked."""

    options = (*ROLLOUT, *DRIFT)
    pause = 0.2

    def __init__(self, server: Server, usual: list[str]):
        super().__init__(server)
        self.usual = usual
        self.turn = 0

    def ask(self) -> None:
        self.turn += 20
        self.ask_for(*(self.usual[(self.turn + place) % len(self.usual)] for place in range(20)))
        judge(self.server, "I love MLOps", lambda _: True)
        # A mistake, or a text that is cut off, but so seldom that it is no drift; and somebody who looks.
        text, status = ("word " * 1000, 200) if self.turn % 60 == 0 else ("", 422)
        assert self.server.predict(text).status_code == status
        assert requests.get(self.server.url + "/status", timeout=10).status_code == 200


FAULTS = {
    "ApusDown": Killed, "ApusServerErrors": Late, "ApusSlow": LargeBatches, "ApusQueueFull": Flood, "ApusDrift": OneText,
    "ApusEmbeddingDrift": OneText, "ApusAccuracyFalling": Wrong, "ApusCanaryRolledBack": WorseCanary,
    "ApusConfidenceFalling": Unsure, "ApusNoTraffic": Silence,
}


def job_of(alert: str) -> str:
    return f"{WELL}-{alert.removeprefix('Apus').lower()}"


@pytest.fixture(scope="module")
def watched(apus: Path, data: Path, known: dict[str, dict], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """All servers are up and well, and have been asked for a while."""
    folder = tmp_path_factory.mktemp("prometheus")
    more = {OneText: (tweets(data),), Usual: (tweets(data),), Unsure: (known,)}
    servers: dict[str, Server] = {}
    clients: dict[str, Clients] = {}
    prometheus = lookout = None
    try:
        for job, kind in {WELL: Usual, **{job_of(alert): kind for alert, kind in FAULTS.items()}}.items():
            servers[job] = Server(apus, "--no-self-test", *kind.options)
            clients[job] = Clients(kind(servers[job], *more.get(kind, ())))
        config = configuration(folder, servers)
        prometheus = Prometheus(folder, config, *options_of_the_container())
        for job in servers:
            until(lambda: prometheus.query(f'up{{job="{job}"}} == 1'), f"{job} is watched", 20)
        lookout = Lookout(prometheus)
        time.sleep(WELL_SECONDS)
        yield Watched(prometheus, config, servers, clients, lookout)
    finally:
        for one in [*clients.values(), *filter(None, [lookout])]:
            one.stop()
        if prometheus:
            prometheus.stop()
        for job, server in servers.items():
            if job != job_of("ApusDown") or server.process.poll() is None:
                server.stop()


def configuration(folder: Path, servers: dict[str, Server]) -> dict:
    """prometheus.yml with a job for each server instead of the container's, a second between scrapes, and faster rules."""
    rules = folder / "alerts.yml"
    rules.write_text(json.dumps(faster_rules(read_yaml("prometheus/alerts.yml"))), encoding="utf-8")
    config = read_yaml("prometheus/prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    assert config["rule_files"] == ["alerts.yml"]
    [of_the_server] = [job for job in config["scrape_configs"] if job["job_name"] == "apus"]
    [itself] = [job for job in config["scrape_configs"] if job["job_name"] == "prometheus"]
    itself["static_configs"] = [{"targets": ["PROMETHEUS"]}]
    jobs = [of_the_server | {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}]}
            for job, server in servers.items()]
    return config | {"scrape_configs": [*jobs, itself]}


def options_of_the_container() -> list[str]:
    """What compose.yaml starts Prometheus with, but for its places."""
    return [option for option in read_yaml("compose.yaml")["services"]["prometheus"]["command"]
            if not option.startswith(("--config.file=", "--storage.tsdb.path="))]


def numbers(series: list[dict]) -> list[float]:
    return [value for one in series for _, text in one["values"] if math.isfinite(value := float(text))]


@pytest.mark.parametrize("query", list(queries()), ids=str)
def test_every_panel_shows_something(watched, query):
    series = watched.series(query.target["expr"], query.target.get("instant", False))
    values = numbers(series)
    assert values, f"no data: {query.target['expr']}"
    defaults = query.panel["fieldConfig"]["defaults"]
    if defaults.get("unit") == "percentunit":
        # Prometheus extrapolates a rate to the ends of its window, so a share of the time may pass 1 by a little.
        assert 0 <= min(values) and max(values) <= 1.1, values
    assert min(values) >= defaults.get("min", 0), values
    for name in re.findall(r"{{(\w+)}}", query.target["legendFormat"]):
        assert all(one["metric"].get(name) for one in series), f"the legend's {name} is missing: {series[0]['metric']}"
    if len(series) > 1 and query.target.get("format") != "table":
        legends = {re.sub(r"{{(\w+)}}", lambda name: one["metric"][name[1]], query.target["legendFormat"]) for one in series}
        assert len(legends) == len(series), f"lines that are called the same: {legends}"


def test_a_query_of_what_is_not_there_shows_nothing(watched):
    for query in queries():
        misspelt = re.sub(r"\b(apus|http|process)_", r"\1s_", query.target["expr"])
        # `up` is Prometheus' own, and has no such name.
        assert misspelt != query.target["expr"] or "up{" in misspelt, misspelt
        misspelt = misspelt.replace("up{", "ups{")
        assert not numbers(watched.series(misspelt, query.target.get("instant", False))), misspelt


def test_the_panels_tell_what_was_sent(watched):
    now = time.time()

    def latest(title: str, reference: str = "A") -> dict[str, float]:
        [target] = [query.target for query in queries() if str(query) == f"{title} ({reference})"]
        label = re.sub(r"\W", "", target["legendFormat"])
        return {one["metric"].get(label, ""): float(one["values"][-1][1]) for one in watched.series(target["expr"], now=now)}

    assert latest("Servers up") == {"": 1}
    shares = latest("Sentiment")
    assert set(shares) == {"negative", "neutral", "positive"} and sum(shares.values()) == pytest.approx(1)
    # Of what is posted, four times a turn, up to one is a mistake of the client.
    assert 0.1 < latest("Share of errors", "B")[""] < 0.4
    assert latest("Share of errors", "A")[""] == latest("Failed")[""] == 0
    # Others are there from the start, at 0, so that the first of them is a rise.
    assert {status for status, rate in latest("Requests by status").items() if rate} == {"200", "422"}
    assert latest("Texts")[""] > 5 * latest("Forward passes")[""] > 0
    assert 0 < latest("Texts cut off")[""] < 0.1
    percentiles = [latest("Percentiles", reference)[""] for reference in "ABC"]
    assert percentiles == sorted(percentiles) and percentiles[-1] == latest("p99")[""]
    drift = latest("Drift: population stability index")
    assert set(drift) == FEATURES and latest("Largest drift")[""] == max(drift.values()) < 0.2
    embeddings = latest("Drift: embeddings")
    assert set(embeddings) == {"mean", "covariance"} and max(embeddings.values()) < 0.35
    assert 0.6 < latest("Confidence")[""] < 0.95


def test_the_variables_list_the_jobs_and_the_servers(watched):
    found = {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            asked = as_grafana_asks(selector, 1, 1, job=list(watched.servers))
            found[variable["name"]] = watched.prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": asked})
    assert set(found["job"]) == set(watched.servers)
    assert set(found["instance"]) == {f"127.0.0.1:{server.port}" for server in watched.servers.values()}


def test_all_servers_at_once_are_shown_too(watched):
    jobs, instances = list(watched.servers), [f"127.0.0.1:{server.port}" for server in watched.servers.values()]
    for query in queries():
        asked = as_grafana_asks(faster(query.target["expr"]), 1, 1, job=jobs, instance=instances)
        assert watched.prometheus.query(asked), asked


@pytest.mark.parametrize("alert", list(alerts()))
def test_what_an_alert_watches_is_there_while_all_is_well(watched, alert):
    series = watched.prometheus.query(faster(observed(alerts()[alert]["expr"])))
    values = [float(one["value"][1]) for one in series if one["metric"]["job"] == WELL]
    assert values and all(map(math.isfinite, values)), f"{alert}: {series}"


@pytest.fixture(scope="module")
def faulty(watched: Watched) -> Watched:
    """Every fault is made, after nothing fired while there was none."""
    assert watched.unasked() == set() and not any((job_of(alert), alert) in watched.lookout.fired for alert in FAULTS)
    for alert in FAULTS:
        clients = watched.clients[job_of(alert)]
        assert clients.failure is None, f"{alert}: {clients.failure!r}"
        clients.fault.make(clients)
    return watched


@pytest.mark.parametrize("alert", list(FAULTS))
def test_an_alert_fires_when_its_fault_is_made(faulty, alert):
    job = job_of(alert)

    def fired() -> list[dict]:
        failure = faulty.clients[job].failure
        assert failure is None, f"the fault could not be made: {failure!r}"
        return faulty.lookout.fired.get((job, alert), [])

    for one in until(fired, f"{alert} fires", 40):
        assert one["labels"]["severity"] == alerts()[alert]["labels"]["severity"]
        if "instance" in one["labels"]:
            assert one["labels"]["instance"] == f"127.0.0.1:{faulty.servers[job].port}"
        for text in one["annotations"].values():
            assert text and not re.search(r"{{|}}|<no value>|<error|%!|NaN", text), text
        assert re.search(r"\d", one["annotations"]["description"].replace(one["labels"].get("instance", ""), ""))


def test_every_alert_has_its_fault_here():
    assert set(FAULTS) | {"ApusAbsent"} == set(alerts())


def test_nothing_fires_but_what_should(faulty):
    """A server that has gone has no errors besides, one that is flooded is not slow, and so on."""
    assert {job: client.failure for job, client in faulty.clients.items() if client.failure} == {}
    assert faulty.unasked() == set()


def test_alerts_are_marked_on_the_graphs(faulty):
    [annotation] = dashboard()["annotations"]["list"]
    asked = as_grafana_asks(annotation["expr"], 1, 1, job=list(faulty.servers))
    marks = faulty.prometheus.query(asked)
    assert {mark["metric"]["alertname"] for mark in marks} <= set(FAULTS) and marks
    for name in re.findall(r"{{(\w+)}}", annotation["titleFormat"]):
        assert all(mark["metric"][name] for mark in marks)


def test_prometheus_finds_nothing_wrong_with_the_rules(faulty):
    [group] = faulty.prometheus.get("/api/v1/rules")["groups"]
    assert {rule["name"] for rule in group["rules"]} == set(alerts())
    assert all((rule["health"], rule.get("lastError", "")) == ("ok", "") for rule in group["rules"]), group["rules"]


def test_no_target_at_all_is_told_of(faulty):
    """The last one: nothing is watched any more afterwards. The jobs stay, as where targets are discovered: what a job that
    is taken out has told is remembered for five minutes."""
    assert ("", "ApusAbsent") not in faulty.lookout.fired
    jobs = [job | ({"static_configs": []} if job["job_name"].startswith(WELL) else {})
            for job in faulty.config["scrape_configs"]]
    faulty.prometheus.configure(faulty.config | {"scrape_configs": jobs})

    alert = until(lambda: faulty.lookout.fired.get(("", "ApusAbsent")), "ApusAbsent fires", 30)[0]
    assert alert["annotations"]["summary"] == "No Apus server is watched"
