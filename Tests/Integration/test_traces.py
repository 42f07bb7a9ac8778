"""W3C Trace Context, as OpenTelemetry's own client sends it: in answers, and in every line of the log."""

from __future__ import annotations

import re

import pytest
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apus_server import Server, until

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACE = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.fixture
def spans():
    """What an application exports that has nothing but OpenTelemetry's instrumentation of `requests`."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    RequestsInstrumentor().uninstrument()


@pytest.fixture(scope="module")
def logging_server(apus):
    server = Server(apus, "--no-self-test", "--log-format", "json")
    yield server
    server.stop()


def records_of(server, identifier: str) -> list[dict]:
    return until(lambda: [record for record in server.log_records() if record.get("request_id") == identifier],
                 f"a log line of request {identifier}")


def ask(server, traceparent: str, **headers: str) -> requests.Response:
    answer = server.predict("x", headers={"traceparent": traceparent} | headers)
    assert answer.status_code == 200, answer.text
    return answer


def test_opentelemetrys_client_finds_its_trace_in_the_answer_and_in_the_log(logging_server, spans):
    server = logging_server
    spans.clear()
    answers = [server.predict("x", headers={"X-Request-Id": name}) for name in ("one", "two")]
    exported = spans.get_finished_spans()
    assert len(exported) == 2
    for name, answer, span in zip(("one", "two"), answers, exported):
        # OpenTelemetry's own reader of the header, too.
        context = TraceContextTextMapPropagator().extract({"traceparent": answer.headers["traceparent"]})
        own = trace.get_current_span(context).get_span_context()
        assert own.trace_id == span.context.trace_id and own.span_id != span.context.span_id and own.trace_flags.sampled
        for record in records_of(server, name):
            assert record["trace_id"] == f"{span.context.trace_id:032x}"
            assert record["parent_span_id"] == f"{span.context.span_id:016x}"
            assert record["span_id"] == f"{own.span_id:016x}"


def test_every_line_and_every_answer_has_the_trace_whatever_became_of_the_request(start_server):
    server = start_server("--log-format", "json", "--log-level", "debug", "--api-key", "key")
    key = {"Authorization": "Bearer key"}
    for number, (method, path, body, headers, status) in enumerate([
        ("POST", "/predict", b'{"text": "x"}', key, 200), ("POST", "/predict", b"{", key, 400),
        ("POST", "/predict", b'{"text": ""}', key, 422), ("POST", "/predict", b'{"text": "x"}', {}, 401),
        ("GET", "/nowhere", None, key, 404), ("DELETE", "/predict", None, key, 405), ("GET", "/health/live", None, {}, 200),
    ]):
        headers = headers | {"X-Request-Id": f"id-{number}", "traceparent": TRACE, "Content-Type": "application/json"}
        answer = requests.request(method, server.url + path, data=body, headers=headers, timeout=10)
        assert answer.status_code == status and answer.headers["X-Request-Id"] == f"id-{number}"
        version, trace_id, span_id, flags = answer.headers["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", TRACE_ID, "01") and re.fullmatch("[0-9a-f]{16}", span_id)
        for record in records_of(server, f"id-{number}"):
            assert (record["trace_id"], record["parent_span_id"], record["span_id"]) == (TRACE_ID, SPAN_ID, span_id)


def test_each_request_of_a_trace_has_a_span_of_its_own(server):
    assert len({ask(server, TRACE).headers["traceparent"] for _ in range(50)}) == 50


def test_the_sampling_decision_and_the_other_systems_state_are_handed_on(server):
    for flags, handed_on in (("00", "00"), ("01", "01"), ("03", "03"), ("ff", "03"), ("08", "00")):
        assert ask(server, TRACE[:-2] + flags).headers["traceparent"].endswith(f"-{handed_on}")
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert ask(server, TRACE, tracestate=state).headers["tracestate"] == state
    assert "tracestate" not in ask(server, TRACE).headers


def test_a_later_version_is_read_as_far_as_it_is_known(server):
    for later in ("01" + TRACE[2:], "cc" + TRACE[2:] + "-what-comes-then"):
        assert ask(server, later).headers["traceparent"].startswith(f"00-{TRACE_ID}-")


@pytest.mark.parametrize("value", [
    "nonsense", "", TRACE[:-1], TRACE.upper(), f"00-{'0' * 32}-{SPAN_ID}-01", f"00-{TRACE_ID}-{'0' * 16}-01", "ff" + TRACE[2:],
    TRACE + "-more", TRACE + "0", "cc" + TRACE[2:] + "x", TRACE.replace("-", "_"), f"{TRACE}, {TRACE}", "0g" + TRACE[2:],
    f"00-{TRACE_ID}x-{SPAN_ID[:-1]}-01", TRACE[:-2] + "é0", TRACE[:-2] + "+1"])
def test_what_is_no_traceparent_is_left_out_and_none_is_made_up(logging_server, value):
    answer = ask(logging_server, value.encode(), tracestate="a=1")
    assert "traceparent" not in answer.headers and "tracestate" not in answer.headers
    for record in records_of(logging_server, answer.headers["X-Request-Id"]):
        assert not {"trace_id", "span_id", "parent_span_id", "traceparent"} & record.keys()
