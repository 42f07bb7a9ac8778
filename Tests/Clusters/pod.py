"""Runs a container of a manifest as a kubelet would: its command, arguments and environment, its user, a root nobody can
write to, no capabilities, a network of its own, and its memory limit. Needs root, and a kernel that lets it.

    python pod.py SPECIFICATION    # used by `Pod`, inside namespaces that unshare(1) made
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
START_SECONDS = 60


class CannotRun(Exception):
    """This machine has not what a pod needs."""


def quantity(text: str) -> int:
    """Bytes, or cores rounded up: what a Kubernetes quantity of these manifests says."""
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?", text).groups()
    return int(number) << {None: 0, "Ki": 10, "Mi": 20, "Gi": 30}[unit]


def environment(container: dict, secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """The container's variables, with those of secrets and resources put in."""
    def value(variable: dict) -> str:
        if "value" in variable:
            return variable["value"]
        if secret := variable["valueFrom"].get("secretKeyRef"):
            return secrets[secret["name"]][secret["key"]]
        field = variable["valueFrom"]["resourceFieldRef"]
        if field["containerName"] != container["name"]:
            raise ValueError(f"{variable['name']} is of the container {field['containerName']}, which is not there")
        part, resource = field["resource"].split(".")
        return str(quantity(container["resources"][part][resource]))

    return {variable["name"]: value(variable) for variable in container["env"]}


def service_links(service: str, port: int) -> dict[str, str]:
    """What Kubernetes tells every pod of its namespace about a Service, unless enableServiceLinks is false."""
    name = service.upper().replace("-", "_")
    address = f"tcp://10.96.0.12:{port}"
    return {f"{name}_SERVICE_HOST": "10.96.0.12", f"{name}_SERVICE_PORT": str(port), f"{name}_PORT": address,
            f"{name}_PORT_{port}_TCP": address, f"{name}_PORT_{port}_TCP_PORT": str(port)}


class MemoryGroup:
    """A control group with a limit, of either version."""

    def __init__(self, limit: int):
        root = Path("/sys/fs/cgroup")
        self.is_v1 = (root / "memory/memory.limit_in_bytes").exists()
        self.path = (root / "memory" if self.is_v1 else root) / f"apus-test-{os.getpid()}-{time.monotonic_ns()}"
        try:
            if not self.is_v1 and "memory" not in (root / "cgroup.subtree_control").read_text().split():
                (root / "cgroup.subtree_control").write_text("+memory")
            self.path.mkdir()
            self._file("limit_in_bytes", "max").write_text(str(limit))
            if (swap := self._file("memsw.limit_in_bytes", "swap.max")).exists():
                swap.write_text(str(limit) if self.is_v1 else "0")
        except OSError as error:
            self.remove()
            raise CannotRun(f"no memory limit can be set here: {error}") from error

    def _file(self, v1: str, v2: str) -> Path:
        return self.path / f"memory.{v1 if self.is_v1 else v2}"

    def add(self, process: int) -> None:
        (self.path / "cgroup.procs").write_text(str(process))

    def peak(self) -> int:
        """The most at any time, with the pages of files that were read."""
        return int(self._file("max_usage_in_bytes", "peak").read_text())

    def kills(self) -> int:
        """How many processes died for the limit."""
        return int(re.search(r"^oom_kill (\d+)", self._file("oom_control", "events").read_text(), re.MULTILINE)[1])

    def remove(self) -> None:
        if self.path.exists():
            self.path.rmdir()


class Pod:
    """The first container of a pod specification, ready when the constructor returns."""

    def __init__(self, spec: dict, apus: Path, secrets: dict[str, dict[str, str]], image: dict[str, str],
                 files: Path, services: dict[str, int] = {}, variables: dict[str, str] = {}):
        if os.geteuid() != 0:
            raise CannotRun("only root can make a pod's namespaces")
        container = spec["containers"][0]
        self.container = container
        self.log_path = files / f"pod-{time.monotonic_ns()}.log"
        root = files / "root"
        root.mkdir(exist_ok=True)
        links = {k: v for s, p in services.items() for k, v in service_links(s, p).items()} if spec.get(
            "enableServiceLinks", True) else {}
        name, *rest = container["command"]
        self.memory = MemoryGroup(quantity(container["resources"]["limits"]["memory"]))
        specification = {
            "root": str(root), "command": [str(apus) if name == "apus" else name, *rest, *container["args"]],
            "user": spec["securityContext"]["runAsUser"], "group": spec["securityContext"]["runAsGroup"],
            "is_read_only": container["securityContext"]["readOnlyRootFilesystem"],
            # Later ones win, as they do in a pod.
            "environment": {"PATH": "/usr/bin:/bin", **image, **links, **environment(container, secrets), **variables},
        }
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--net", sys.executable, __file__, json.dumps(specification)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=lambda: self.memory.add(os.getpid()))

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def connect(self, port: int, timeout: float = 30) -> socket.socket:
        """A connection from inside the pod's network. A socket belongs to the network it was made in, whoever uses it."""
        library = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.process.pid}/ns/net") as theirs:
            try:
                if library.setns(theirs.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                return socket.create_connection(("127.0.0.1", port), timeout)
            finally:
                library.setns(ours.fileno(), CLONE_NEWNET)

    def request(self, method: str, port: int, path: str, body: bytes | None = None, timeout: float = 30,
                **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = self.connect(port, timeout)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def passes(self, probe: dict) -> bool:
        """What a kubelet says of a probe, which has a connection of its own: whether it is answered in time and well."""
        get = probe["httpGet"]
        port = {known["name"]: known["containerPort"] for known in self.container["ports"]}.get(get["port"], get["port"])
        try:
            return 200 <= self.request("GET", port, get["path"], timeout=probe["timeoutSeconds"])[0] < 400
        except OSError:
            return False

    def wait_until_started(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.passes(self.container["startupProbe"]):
            if self.process.poll() is not None:
                if "cannot make" in self.log():
                    raise CannotRun(self.log().strip())
                raise AssertionError(f"the container ended with status {self.process.returncode}:\n{self.log()}")
            assert time.monotonic() < end, f"not started within {START_SECONDS} s:\n{self.log()}"
            time.sleep(0.05)

    def status(self) -> dict[str, str]:
        return dict(line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, and its exit status; fails where it does not leave in time."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()
            time.sleep(0.05)
            self.memory.remove()


def parallel(work, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def become(specification: dict) -> None:
    """Inside the new namespaces: lets loopback live, makes a root that cannot be written to, and becomes the program."""
    try:
        with socket.socket() as any_socket:
            up_and_running = struct.pack("16sH14x", b"lo", 0x1 | 0x40)
            fcntl.ioctl(any_socket, 0x8914, up_and_running)  # SIOCSIFFLAGS
        root = specification["root"]
        mount = ["mount"]
        subprocess.run([*mount, "--make-rprivate", "/"], check=True)
        subprocess.run([*mount, "--rbind", "/", root], check=True)
        if specification["is_read_only"]:
            kinds = {"ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs"}
            places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] in kinds]
            for place in places:
                if (place == root or place.startswith(root + "/")) and "/dev" not in place and "/sys" not in place:
                    subprocess.run([*mount, "-o", "remount,bind,ro", place], check=place == root)
        os.chroot(root)
        os.chdir("/")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"cannot make a pod here: {error}")
    user = ["setpriv", "--reuid", str(specification["user"]), "--regid", str(specification["group"]), "--clear-groups",
            "--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all", "--"]
    os.execvpe(user[0], [*user, *specification["command"]], specification["environment"])


if __name__ == "__main__":
    become(json.loads(sys.argv[1]))
