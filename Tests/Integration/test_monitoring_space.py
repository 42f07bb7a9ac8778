"""deploy/prometheus/space.yml in a real Prometheus: https, as in front of a Hugging Face Space, and a token."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from apus_server import Server, until
from monitoring import DEPLOY, read_yaml
from prometheus_server import Prometheus

KEY = "a-key-of-the-test"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of localhost, with its key in the same file."""
    path = tmp_path / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", tmp_path / "certificate.pem"],
        check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "certificate.pem").read_text())
    return path


@pytest.fixture
def space(start_server, certificate: Path) -> Iterator[int]:
    """The port of an https proxy in front of a server that wants a key everywhere."""
    server: Server = start_server("--api-key-everywhere", env={"APUS_API_KEY": KEY})

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name: self.headers[name] for name in ("Authorization", "Accept") if name in self.headers}
            try:
                answer = urllib.request.urlopen(urllib.request.Request(server.url + self.path, headers=headers), timeout=5)
            except urllib.error.HTTPError as error:
                answer = error
            body = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy.server_port
    proxy.shutdown()
    proxy.server_close()


@pytest.mark.parametrize("token, health, error", [
    (KEY, "up", ""), ("another", "down", "server returned HTTP status 401 Unauthorized"),
])
def test_a_space_is_scraped_over_https_with_a_token(space, certificate, tmp_path, token, health, error):
    config = read_yaml("prometheus/space.yml")
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["OWNER-NAME.hf.space:443"]}]
    folder = tmp_path / "prometheus"
    folder.mkdir()
    # Where the configuration names it: in the same folder.
    (folder / job["authorization"]["credentials_file"]).write_text(token + "\n", encoding="utf-8")
    config["rule_files"] = [str(DEPLOY / "prometheus/alerts.yml")]
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    job |= {"static_configs": [{"targets": [f"localhost:{space}"]}],
            "tls_config": {"ca_file": str(tmp_path / "certificate.pem")}}
    prometheus = Prometheus(folder, config)
    try:
        [target] = until(lambda: prometheus.scraped("apus-space"), "it was scraped", 20)
        assert (target["health"], target["lastError"]) == (health, error)
        assert target["scrapeUrl"] == f"https://localhost:{space}/metrics"
        if health == "up":
            [info] = until(lambda: prometheus.query("apus_model_info"), "its figures are there", 5)
            assert info["metric"]["job"] == "apus-space"
    finally:
        prometheus.stop()
