"""`apus pull` in the networks that companies have: proxies, certificates of their own, mirrors, users whom nobody knows."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from apus_server import until

import hub_faults as faults
from cache import Cache
from fake_hub import TOKEN, Answer, FakeHub, Request
from models import tiny_model
from pulling import assert_holds, assert_pulled, assert_refused

ID = "org/tiny"
FILES = tiny_model()
WEIGHTS = "model.safetensors"


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add(ID, FILES)


# Proxies: Debian's tinyproxy

@dataclass
class Proxy:
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, host: str, method: str) -> bool:
        """Whether it was asked for a URL of this host and port (GET), or for a tunnel to it (CONNECT)."""
        place = f"GET {host}/" if method == "GET" else f"CONNECT {urlsplit(host).netloc} "
        return any("Request" in line and place in line for line in self.log.read_text().splitlines())

    def is_unused(self) -> bool:
        return "Request" not in self.log.read_text()


@pytest.fixture
def start_proxy(tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    if not shutil.which("tinyproxy"):
        pytest.skip("tinyproxy is not installed (tinyproxy-bin)")
    processes = []

    def start(*settings: str) -> Proxy:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = tmp_path / f"proxy-{port}.log"
        log.touch()
        file = tmp_path / f"proxy-{port}.conf"
        lines = [f"Port {port}", "Listen 127.0.0.1", f'LogFile "{log}"', "LogLevel Connect", *settings]
        file.write_text("\n".join(lines) + "\n")
        processes.append(subprocess.Popen(["tinyproxy", "-d", "-c", file]))
        until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), "the proxy listens")
        log.write_text("")
        return Proxy(port, log)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def proxy(start_proxy) -> Proxy:
    return start_proxy()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_asked(run_apus, hub: FakeHub, cache: Cache, commit: str, proxy: Proxy, variable: str):
    assert_holds(assert_pulled(run_apus("pull", ID, env={variable: proxy.url}), cache, ID, commit), FILES)
    assert proxy.asked(hub.url, "GET") and proxy.asked(hub.cdn_url, "GET")


@pytest.mark.parametrize("exceptions", [
    {"NO_PROXY": "127.0.0.1,localhost"}, {"no_proxy": "127.0.0.1, localhost"}, {"NO_PROXY": "127.0.0.0/8,localhost"},
    {"NO_PROXY": "*"},
], ids=str)
def test_what_needs_no_proxy_is_asked_itself(run_apus, hub: FakeHub, cache: Cache, commit: str, proxy: Proxy, exceptions):
    assert_pulled(run_apus("pull", ID, env={"HTTP_PROXY": proxy.url} | exceptions), cache, ID, commit)
    assert proxy.is_unused()


def test_only_what_is_named_needs_no_proxy(run_apus, hub: FakeHub, cache: Cache, commit: str, proxy: Proxy):
    env = {"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
    assert_pulled(run_apus("pull", ID, env=env), cache, ID, commit)
    assert proxy.asked(hub.cdn_url, "GET") and not proxy.asked(hub.url, "GET")


def test_a_proxy_may_want_a_password(run_apus, hub: FakeHub, cache: Cache, commit: str, start_proxy):
    proxy = start_proxy("BasicAuth user secret")
    refused = run_apus("pull", ID, env={"HTTP_PROXY": proxy.url})
    assert_refused(refused, "407")
    env = {"HTTP_PROXY": proxy.url.replace("//", "//user:secret@")}
    assert_pulled(run_apus("pull", ID, env=env), cache, ID, commit)


def test_a_proxy_that_is_not_there_is_named(run_apus, hub: FakeHub, commit: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert_refused(run_apus("pull", ID, env={"HTTP_PROXY": f"http://127.0.0.1:{port}"}), ID, str(port))


# TLS

@dataclass
class Authority:
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    """A certificate for this machine that nobody else knows."""
    folder = tmp_path_factory.mktemp("authority")
    authority = Authority(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", authority.key, "-out", authority.certificate],
        check=True, capture_output=True)
    return authority


@pytest.fixture
def tls_hub(authority: Authority) -> Iterator[FakeHub]:
    with FakeHub(tls=authority.context()) as hub:
        yield hub


def test_a_certificate_that_is_not_known_is_refused_at_once_and_can_be_made_known(
    run_apus, tls_hub: FakeHub, cache: Cache, authority: Authority
):
    commit = tls_hub.add(ID, FILES)
    refused = run_apus("pull", ID, env={"HF_ENDPOINT": tls_hub.url}, timeout=5)
    assert_refused(refused, tls_hub.url, "certificate", "SSL_CERT_FILE")
    assert not tls_hub.asked()
    env = {"HF_ENDPOINT": tls_hub.url, "SSL_CERT_FILE": str(authority.certificate)}
    assert_holds(assert_pulled(run_apus("pull", ID, env=env), cache, ID, commit), FILES)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_through_a_proxy_a_token_goes_in_a_tunnel(
    run_apus, tls_hub: FakeHub, cache: Cache, authority: Authority, proxy: Proxy, variable: str
):
    commit = tls_hub.add(ID, FILES, private=True)
    env = {"HF_ENDPOINT": tls_hub.url, "SSL_CERT_FILE": str(authority.certificate), "HF_TOKEN": TOKEN, variable: proxy.url,
           "HTTP_PROXY": "http://127.0.0.1:9"}  # for other URLs
    assert_holds(assert_pulled(run_apus("pull", ID, env=env), cache, ID, commit), FILES)
    assert proxy.asked(tls_hub.url, "CONNECT") and proxy.asked(tls_hub.cdn_url, "CONNECT")
    assert {request.token for request in tls_hub.asked() if request.host == "cdn"} == {None}


def test_from_tls_nobody_is_led_away(run_apus, hub: FakeHub, tls_hub: FakeHub, authority: Authority, commit: str):
    tls_hub.add(ID, FILES)
    tls_hub.fault(faults.redirect(f"{hub.url}/{ID}/resolve/main/vocab.json", 308), "resolve", file="vocab.json")
    env = {"HF_ENDPOINT": tls_hub.url, "SSL_CERT_FILE": str(authority.certificate)}
    assert_refused(run_apus("pull", ID, env=env), "vocab.json", "redirect")
    assert not hub.asked()


# Mirrors

@pytest.mark.parametrize("path", ["/hf", "/artifactory/api/huggingface/mirror"])
def test_a_mirror_may_lie_below_a_path(run_apus, cache: Cache, path: str):
    with FakeHub(path=path) as mirror:
        commit = mirror.add(ID, FILES)
        assert_holds(assert_pulled(run_apus("pull", ID, env={"HF_ENDPOINT": mirror.url}), cache, ID, commit), FILES)
        assert all(request.path.startswith(path) for request in mirror.asked() if request.host == "hub")


@pytest.mark.parametrize("listing", ["with hashes", "of names only"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_mirror_may_only_redirect_and_the_token_stays_with_it(
    run_apus, hub: FakeHub, cache: Cache, commit: str, status: int, listing: str
):
    def elsewhere(answer: Answer, request: Request) -> None:
        answer.status, answer.json, answer.content, answer.end = status, None, b"", 0
        answer.headers = {"Location": hub.url.replace("127.0.0.1", "localhost") + request.path}

    if listing == "of names only":
        hub.fault(faults.edited(faults.names_only), "info")
    with FakeHub() as mirror:
        mirror.add(ID, FILES)
        for kind in ("info", "resolve"):
            mirror.fault(elsewhere, kind)
        result = run_apus("pull", ID, env={"HF_ENDPOINT": mirror.url, "HF_TOKEN": TOKEN})
        assert {request.token for request in mirror.asked()} == {TOKEN}
    assert {request.token for request in hub.asked()} == {None}
    if listing == "of names only":
        assert_pulled_by_etags(result, mirror, cache, commit)
        cache.assert_true()
    else:
        assert_holds(assert_pulled(result, cache, ID, commit), FILES)


def assert_pulled_by_etags(result: subprocess.CompletedProcess, hub: FakeHub, cache: Cache, commit: str) -> None:
    assert result.returncode == 0 and result.stdout == f"{cache.snapshot(ID, commit).resolve()}\n", result.stderr
    [line] = result.stderr.splitlines()
    assert hub.url in line and "no hashes" in line and "ETag" in line
    assert_holds(cache.snapshot(ID, commit), FILES)


def test_a_listing_without_hashes_leaves_it_to_etags(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.edited(faults.names_only), "info")
    assert_pulled_by_etags(run_apus("pull", ID), hub, cache, commit)
    cache.assert_true()
    hub.forget()
    assert_pulled_by_etags(run_apus("pull", ID), hub, cache, commit)
    assert cache.python_snapshot(ID) == cache.snapshot(ID, commit)


def test_an_etag_that_is_a_hash_is_checked(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.edited(faults.names_only), "info")
    hub.fault(faults.other_bytes, file=WEIGHTS)
    result = run_apus("pull", ID)
    assert result.returncode == 2 and "SHA-256" in result.stderr and WEIGHTS in result.stderr
    assert not (cache.snapshot(ID, commit) / WEIGHTS).exists()


def test_an_etag_that_is_no_hash_is_a_name_and_the_size_decides(run_apus, hub: FakeHub, cache: Cache, commit: str):
    hub.fault(faults.edited(faults.names_only), "info")

    def plain(answer, request) -> None:
        """As nginx has it: from the time and the size, no redirect."""
        content = FILES[request.file]
        answer.status, answer.content, answer.end = 200, content, len(content)
        answer.headers = {"ETag": f'W/"65d3a0c1-{len(content):x}"'}

    hub.fault(plain, "resolve")
    assert_pulled_by_etags(run_apus("pull", ID), hub, cache, commit)
    assert f"65d3a0c1-{len(FILES[WEIGHTS]):x}" in cache.blobs(ID)


@pytest.mark.parametrize("etag", ["../../evil", "", ".", "a/b", "a" * 200, "evil.incomplete"])
def test_an_etag_that_could_be_no_file_is_refused(run_apus, hub: FakeHub, cache: Cache, commit: str, etag: str):
    hub.fault(faults.edited(faults.names_only), "info")
    for kind in ("resolve", "file"):
        hub.fault(lambda answer, request: answer.headers.update(ETag=f'"{etag}"', **{"X-Linked-Etag": f'"{etag}"'}), kind)
    assert_refused(run_apus("pull", ID), ID, "ETag")
    assert not cache.files()


# The machine

def test_without_libcurl_a_pull_says_what_to_install_and_all_else_works(apus: Path, environment, tmp_path: Path):
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines()
    names = ("libcurl.so.4", "libcurl-gnutls.so.4")
    libraries = {Path(line.split(" => ")[1]).resolve() for line in listed if line.split()[0] in names}
    hide = " && ".join(f"mount --bind /dev/null {library}" for library in libraries)
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "sh", "-c", hide], capture_output=True).returncode != 0:
        pytest.skip("only root can hide a library")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = ["unshare", "-m", "sh", "-c", f'{hide} && exec "$@"', "sh", str(apus), *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert_refused(run("pull", ID), "libcurl", "nstall libcurl4")
    assert run("predict", "I love it").stdout.startswith("positive\t")


def test_a_user_whom_nobody_knows_fills_a_cache_that_his_group_may_write(apus: Path, environment, hub: FakeHub, commit: str):
    """As OpenShift runs an image: a user of its own choice, group 0; the folder is as the Dockerfile makes it."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user")
    folder = Path(subprocess.run(["mktemp", "-d", "/tmp/apus-cache.XXXXXX"], capture_output=True, text=True).stdout.strip())
    try:
        folder.chmod(0o755)
        home = folder / "huggingface"
        home.mkdir()
        os.chown(home, 1000, 0)
        home.chmod(0o775)
        command = ["setpriv", "--reuid", "1000930000", "--regid", "0", "--clear-groups", apus, "pull", ID]
        env = environment | {"HF_HOME": str(home), "HOME": "/"}
        result = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60)
        assert_holds(assert_pulled(result, Cache(home / "hub"), ID, commit), FILES)
        assert (home / "hub").stat().st_uid == 1000930000
    finally:
        shutil.rmtree(folder)
