"""Every kernel gives the same bits on every instruction set: those of digests.txt.

kernel_vectors.c is built for this machine and, where the cross compiler's libraries and qemu are there, for ARM64, and run
on CPUs of each kind that detection tells apart. With APUS_TEST_EMULATED=1, as root on Debian 12, the x86 sets that this
machine lacks run in tools/x86_emulator.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "Sources/Kernels"
DIGESTS = dict(line.split() for line in (Path(__file__).parent / "digests.txt").read_text(encoding="utf-8").splitlines()
               if not line.startswith("#"))
X86 = ["avx2", "avxvnni", "avx512", "avx512vnni", "avx512amx"]
ARM = ["neon", "neon_dotprod", "neon_i8mm"]
# The CPU as qemu calls it, what it must be given, and what it must not have.
ARM_CPUS = [("max", "neon_i8mm", []), ("neoverse-n1", "neon_dotprod", ["neon_i8mm"]),
            ("cortex-a76", "neon_dotprod", ["neon_i8mm"]), ("cortex-a72", "neon", ["neon_dotprod", "neon_i8mm"])]

# The emulator's CPU, what it must be given, and what it must not have.
X86_CPUS = [("amx", "avx512amx", []), ("avx512vnni", "avx512vnni", ["avxvnni", "avx512amx"]),
            ("avx512", "avx512", ["avxvnni", "avx512vnni", "avx512amx"]),
            ("avxvnni", "avxvnni", ["avx512", "avx512vnni", "avx512amx"]), ("avx", "scalar", X86)]


def clang() -> str:
    """The Swift toolchain's, which compiles the package."""
    swift = shutil.which("swift")
    beside = Path(os.path.realpath(swift)).parent / "clang" if swift else None
    return str(beside) if beside and beside.exists() else "clang"


def build(folder: Path, *options: str) -> Path:
    program = folder / "kernel_vectors"
    sources = [Path(__file__).parent / "kernel_vectors.c", *KERNELS.glob("isa/*.c"), *KERNELS.glob("dispatch/*.c"),
               *KERNELS.glob("gemm/*.c")]
    command = [clang(), "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", *options, f"-I{KERNELS / 'include'}",
               *map(str, sources), "-lm", "-lpthread", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


class Vectors:
    """What a run of the program printed."""

    def __init__(self, *command: str):
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        self.digests: dict[str, dict[str, str]] = {}
        self.skipped: list[str] = []
        for line in finished.stdout.splitlines():
            match line.split():
                case ["chosen", isa]:
                    self.chosen = isa
                case [isa, kernel, digest]:
                    self.digests.setdefault(isa, {})[kernel] = digest
                case [isa, "skipped:", *_]:
                    self.skipped.append(isa)
                case _:
                    raise AssertionError(f"unexpected line: {line}")


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Vectors:
    return Vectors(str(build(tmp_path_factory.mktemp("here"))))


def test_each_instruction_set_is_either_run_or_said_to_be_skipped(here):
    assert sorted([*here.digests, *here.skipped]) == sorted(["scalar", *X86, *ARM])
    assert here.chosen in here.digests


@pytest.mark.parametrize("isa", ["scalar", *(ARM if platform.machine() == "aarch64" else X86)])
def test_the_kernels_give_the_bits_of_the_digests(here, isa):
    if isa in here.skipped:
        pytest.skip(f"this CPU does not have {isa}")
    assert here.digests[isa] == DIGESTS


@pytest.fixture(scope="module")
def arm64(tmp_path_factory) -> Path:
    if platform.machine() == "aarch64":
        pytest.skip("this machine is one")
    if not shutil.which("qemu-aarch64"):
        pytest.skip("qemu-user is not installed")
    if not Path("/usr/aarch64-linux-gnu/lib/libc.a").exists():
        pytest.skip("gcc-aarch64-linux-gnu is not installed")
    return build(tmp_path_factory.mktemp("arm64"), "--target=aarch64-linux-gnu", "-fuse-ld=lld", "-static")


@pytest.mark.parametrize("cpu, chosen, missing", ARM_CPUS)
def test_arm64_cpus_get_their_best_set_and_the_same_bits(arm64, cpu, chosen, missing):
    vectors = Vectors("qemu-aarch64", "-cpu", cpu, str(arm64))
    assert vectors.chosen == chosen
    assert sorted(vectors.digests) == sorted({"scalar", *ARM} - set(missing))
    for isa, digests in vectors.digests.items():
        assert digests == DIGESTS, isa


@pytest.fixture(scope="module")
def x86() -> Path:
    if not os.environ.get("APUS_TEST_EMULATED"):
        pytest.skip("builds an emulator for minutes; set APUS_TEST_EMULATED=1")
    folder = ROOT / ".build-emulator"
    installed = subprocess.run(["bash", ROOT / "tools/x86_emulator/install.sh", folder], capture_output=True, text=True)
    if installed.returncode != 0:  # its sources are another release's: they may go away
        pytest.skip(f"the emulator cannot be built here: {(installed.stderr.strip().splitlines() or ['no message'])[-1]}")
    return folder


@pytest.fixture(scope="module")
def static(x86, tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("static"), "-static")


@pytest.mark.parametrize("cpu, chosen, missing", X86_CPUS)
def test_x86_cpus_get_their_best_set_and_the_same_bits(x86, static, cpu, chosen, missing):
    vectors = Vectors("python3", str(x86 / "run.py"), "--cpu", cpu, "--timeout", "600", str(static), chosen)
    assert vectors.chosen == chosen
    assert vectors.digests == {chosen: DIGESTS}
    if missing:
        absent = Vectors("python3", str(x86 / "run.py"), "--cpu", cpu, "--timeout", "600", str(static), *missing)
        assert absent.skipped == missing


# Of a word to some hundred tokens: with f32 and int8 attention, alone and in a batch.
TEXTS = [" ".join(["I love it", "but not this", "a table by the sea"][i % 3] for i in range(count)) for count in (1, 2, 7, 30)]


def predict(*command: str | Path) -> str:
    """The logits of the built binary."""
    options = ["predict", "--threads", "2", "--logits", "--output-format", "jsonl", *TEXTS]
    return subprocess.run([*map(str, command), *options], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("cpu, isa", [(cpu, isa) for cpu, isa, _ in X86_CPUS if isa != "scalar"])
def test_the_binary_gives_the_same_logits_on_emulated_cpus(x86, cpu, isa):
    binary = ROOT / os.environ.get("APUS_BINARY", ".build/release/apus")
    if not binary.exists():
        pytest.skip(f"there is no {binary}; build it (make build)")
    resources = binary.resolve().parent / "apus_Engine.resources"
    copies = [f"{resources}:/bin/{resources.name}"]
    for line in subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        library = next((word for word in words if word.startswith("/")), None)
        if library:
            copies.append(f"{Path(library).resolve()}:{library}")
    emulator = ["python3", x86 / "run.py", "--cpu", cpu, "--timeout", "600", "--mem", "2048", "--env", f"APUS_FORCE_ISA={isa}"]
    assert predict(*emulator, *(word for copy in copies for word in ("--copy", copy)), binary) == predict(binary)
