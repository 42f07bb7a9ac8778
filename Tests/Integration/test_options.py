"""Options on the command line and in the environment, and what is said of wrong ones."""

from __future__ import annotations

import subprocess

import pytest

LIMITS = {
    "max_body_bytes": 4096, "max_client_batch": 7, "max_queue": 77, "max_batch_tokens": 512, "max_connections": 99,
    "request_timeout": 12.5, "read_timeout": 3.5, "idle_timeout": 33, "grace_period": 4.5,
}


def limits(server) -> dict:
    """Of GET /status, without the units in the names."""
    return {name.removesuffix("_seconds"): value for name, value in server.status()["limits"].items()}


def option(name: str) -> str:
    return "--" + name.replace("_", "-")


def test_every_limit_is_an_option_and_a_variable_and_the_option_comes_first(start_server):
    options = [text for name, value in LIMITS.items() for text in (option(name), str(value))]
    variables = {f"APUS_{name.upper()}": str(value) for name, value in LIMITS.items()}
    others = {f"APUS_{name.upper()}": str(value + 1) for name, value in LIMITS.items()}
    for server in (start_server(*options), start_server(env=variables), start_server(*options, env=others)):
        assert LIMITS.items() <= limits(server).items()


def test_limits_are_as_documented_where_nothing_is_said(server):
    assert limits(server).items() >= {
        "max_tokens": 512, "max_body_bytes": 2 << 20, "max_client_batch": 128, "max_queue": 1024, "max_batch_tokens": 1024,
        "max_connections": 1024, "request_timeout": 30, "read_timeout": 20, "idle_timeout": 75, "grace_period": 20,
    }.items()


def test_a_body_over_the_limit_that_was_set_is_refused(start_server):
    server = start_server("--max-body-bytes", "100", "--max-client-batch", "2")
    assert server.predict("x" * 100).status_code == 413
    assert server.predict("x").status_code == 200


def start(apus, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    command = [apus, "serve", "--port", "0", "--no-self-test", *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("name", [*LIMITS, "drift_window", "drift_window_time", "drift_min_samples"])
def test_a_value_out_of_bounds_is_one_clear_error(apus, name):
    for value in ("0", "-1"):
        given = start(apus, f"{option(name)}={value}")
        in_environment = start(apus, env={f"APUS_{name.upper()}": value})
        assert given.returncode == in_environment.returncode == 2, (given, in_environment)
        assert option(name) in given.stderr and f"APUS_{name.upper()}" in in_environment.stderr
        assert len(given.stderr.splitlines()) == len(in_environment.stderr.splitlines()) == 1


def test_words_where_numbers_belong_are_wrong_usage_or_a_bad_variable(apus):
    assert start(apus, "--max-queue", "many").returncode == 64
    result = start(apus, env={"APUS_MAX_QUEUE": "many"})
    assert result.returncode == 2 and "APUS_MAX_QUEUE" in result.stderr and "many" in result.stderr


@pytest.mark.parametrize("options", [
    ("--log-level", "loud"), ("--log-format", "xml"), ("--api-key-everywhere",), ("--max-batch-tokens", "1000000"),
    ("--max-client-batch", "200", "--max-queue", "100"), ("--port", "70000"), ("--host", "no.such.host.invalid"),
    ("--request-timeout", "nan"), ("--request-timeout", "1e300"),
], ids=" ".join)
def test_options_that_make_no_sense_end_the_start_with_a_reason(apus, options):
    result = start(apus, *options)
    assert result.returncode in (2, 64), result
    assert options[-2 if len(options) > 1 else 0] in result.stderr or options[-1] in result.stderr
