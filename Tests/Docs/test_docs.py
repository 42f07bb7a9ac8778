"""What the documents name is there: links, paths, make targets, options, symbols, imports.

    python3 -m pytest -q Tests/Docs

Needs pytest alone; the options of the commands need the binary, which APUS_BINARY may name.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import xml.etree.ElementTree
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OWN = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "deploy/README.md", "Benchmarks/README.md",
       *(f"docs/{name}.md" for name in ("architecture", "command-line", "evaluation", "serving", "testing", "training"))]
# What builds and environments leave, and what is not a page of Apus but of a model or a library.
SKIPPED = re.compile(r"(^|/)(\.(?!github)[^/]*|node_modules|Resources|Fixtures)/|\.docc/")
PAGES = sorted(str(page.relative_to(REPOSITORY)) for page in REPOSITORY.rglob("*.md")
               if not SKIPPED.search(str(page.relative_to(REPOSITORY))))
MODULES = {"Kernels", "Engine", "ApusCurl", "Hub", "Server", "apus"}
CATALOGUE = REPOSITORY / "Sources/Engine/Engine.docc/Engine.md"
PROSE_COLUMNS = 125
FOLDERS = ("Sources/", "Tests/", "tools/", "docs/", "deploy/", "Benchmarks/", ".ci/", ".github/")
# Words in a path that stand for others.
PLACEHOLDER = re.compile(r"[A-Z]{4,}|…|\*|operation_")


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def without_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The lines of the shell blocks, continued ones as one, without comments."""
    joined = "\n".join(code_blocks(text, "sh")).replace("\\\n", " ")
    lines = [re.sub(r"(^|\s)#\s.*", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_code_blocks(text))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), flags=re.MULTILINE))


def anchors(text: str) -> set[str]:
    """The fragments that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", without_code_blocks(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_targets(text: str) -> set[str]:
    pieces = [command for command in commands(text)] + spans(text)
    return {target for piece in pieces for target in re.findall(r"(?:^|&& |; )make ([a-z][a-z-]*)", piece)}


@cache
def help_of(subcommand: str) -> set[str]:
    """The options in `apus help SUBCOMMAND`; of no subcommand, the subcommands."""
    path = REPOSITORY / os.environ.get("APUS_BINARY", ".build/release/apus")
    if not path.exists():
        pytest.skip(f"there is no {path}; build it (make build), or name another with APUS_BINARY")
    arguments = [path, "help"] + ([subcommand] if subcommand else [])
    output = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout
    pattern = r"^\s+(?:-\w, )?(--[a-z-]+)" if subcommand else r"^  ([a-z][a-z-]+)\s"
    return set(re.findall(pattern, output, flags=re.MULTILINE))


def apus_calls(text: str) -> list[list[str]]:
    """The arguments of each `apus SUBCOMMAND …` in shell blocks and in spans."""
    calls = []
    for piece in commands(text) + spans(text):
        if piece.startswith(("kubectl ", "docker ")):  # where apus is the name of something
            continue
        for call in re.findall(r"(?:^|[\s/])apus ([a-z][a-z-]+(?: .*)?)$", piece):
            try:
                calls.append(shlex.split(re.split(r" [>|] ", call)[0]))
            except ValueError:  # a quotation mark of the prose
                calls.append(call.split())
    return calls


def test_every_page_is_looked_at():
    assert set(OWN) <= set(PAGES)


def test_the_readme_is_read_in_two_minutes():
    assert len(read("README.md").splitlines()) <= 110


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str):
    text = without_code_blocks(read(page))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    missing = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        if not target.exists():
            missing.append(link)
        elif fragment and fragment not in anchors(target.read_text(encoding="utf-8")):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_repository_that_is_named_exists(page: str):
    words = [word.rstrip(".,:;") for span in spans(read(page)) for word in span.split()]
    words += [word for command in commands(read(page)) for word in command.split()]
    paths = {word for word in words if word.startswith(FOLDERS) and not PLACEHOLDER.search(word)}
    missing = sorted(path for path in paths if not (REPOSITORY / path).exists() and not any(REPOSITORY.glob(path)))
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_exists(page: str):
    assert named_targets(read(page)) - make_targets() == set()


# What is read, and run by nothing.
READ_ONLY = ("LICENSE", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", ".gitignore", ".gitattributes")


def test_the_testing_page_says_what_runs_each_file():
    table = re.search(r"^## What runs each file$(.*)", read("docs/testing.md"), flags=re.MULTILINE | re.DOTALL).group(1)
    places: set[str] = set()
    for row in re.findall(r"^\| (`.*)", table, flags=re.MULTILINE):
        files, run_by, _ = (cell.strip() for cell in row.rstrip("|").split(" | ", 2) if cell is not None)
        assert re.search(r"`(?:APUS_\w+=1 )?make [a-z-]+`|by hand|from a fresh clone", run_by), row
        places |= set(re.findall(r"`([^`]+)`", files))
    listed = subprocess.run(["git", "-C", REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout.splitlines()
    unnamed = [file for file in listed if (REPOSITORY / file).exists() and not file.startswith(tuple(places) + READ_ONLY)
               and Path(file).name not in (".gitignore", "Makefile") and "requirements" not in file]
    assert unnamed == []
    assert [place for place in sorted(places - {"Package.swift"}) if not any(file.startswith(place) for file in listed)] == []


def test_the_contributing_page_names_every_target_that_tests():
    tests = {target for target in make_targets() if target.startswith("test")}
    assert tests - named_targets(read("CONTRIBUTING.md")) == set()


def test_the_commands_of_the_contributing_page_are_targets_and_scripts_that_exist():
    found = commands(read("CONTRIBUTING.md"))
    assert found
    for command in found:
        words = shlex.split(command)
        while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        program, arguments = words[0], words[1:]
        if program == "make":
            assert arguments[0] in make_targets(), command
        elif program == "swift":
            assert arguments[0] == "test", command
            assert (REPOSITORY / "Tests" / arguments[arguments.index("--filter") + 1]).is_dir(), command
        elif Path(program).name.startswith("python"):
            assert arguments[:2] == ["-m", "pytest"], command
            environment = Path(program).parts[0]
            assert environment == "python3" or environment in read("Makefile"), command
        else:
            assert os.access(REPOSITORY / program, os.X_OK), command


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_is_named_stands_in_apus_help(page: str):
    unknown = []
    for subcommand, *arguments in apus_calls(read(page)):
        if subcommand == "help":
            continue
        if subcommand not in help_of(""):
            unknown.append(subcommand)
            continue
        options = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
        unknown += [f"{subcommand} {option}" for option in sorted(options - help_of(subcommand))]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES)
def test_every_option_in_a_table_or_a_sentence_belongs_to_a_command_or_a_tool(page: str):
    text = read(page)
    known = {option for subcommand in help_of("") for option in help_of(subcommand)} | {"--version"}
    known |= {"--build-arg", "--archives", "--py-files", "--deploy-mode"}  # of docker and spark-submit
    for tool in [*(REPOSITORY / "tools").rglob("*.py"), *(REPOSITORY / "deploy").rglob("*.py")]:
        known |= set(re.findall(r"\"(--[a-z0-9-]+)\"", tool.read_text(encoding="utf-8")))
    known |= {"--no-" + option.removeprefix("--") for option in known}
    named = {word for span in spans(text) for word in re.findall(r"^--[a-z0-9][a-z0-9-]*", span)}
    assert named - known == set()


def test_every_symbol_of_the_catalogue_is_public_in_engine_and_every_public_type_is_there():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "Sources/Engine").rglob("*.swift"))
    kinds = "struct|class|enum|protocol|actor|let|var|func|typealias"
    declared = set(re.findall(rf"^public (?:final )?(?:{kinds}) (\w+)", source, flags=re.MULTILINE))
    text = CATALOGUE.read_text(encoding="utf-8")
    named = re.findall(r"``([\w/]+)``", text)
    assert set(named) - {"Engine"} == declared
    topics = re.findall(r"^- ``([\w/]+)``$", text, flags=re.MULTILINE)
    assert sorted(topics) == sorted(declared), "each symbol stands under one topic"


def test_the_modules_import_what_the_architecture_says():
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", read("docs/architecture.md"), flags=re.MULTILINE)
    stated = {module: {name for name in re.findall(r"`(\w+)`", cell)} for module, cell in rows}
    assert set(stated) == {"Kernels", "Engine", "ApusCurl", "Hub", "Server", "apus"}
    for module, names in stated.items():
        imports = set()
        for path in (REPOSITORY / "Sources" / module).rglob("*.swift"):
            source = path.read_text(encoding="utf-8")
            found = set(re.findall(r"^\s*(?:@\w+ |public |package )*import (\w+)", source, flags=re.MULTILINE)) & MODULES
            if "Kernels" in found:
                assert path.parent == REPOSITORY / "Sources/Engine/Ops", path
            imports |= found
        assert imports == names, module


def test_intrinsics_and_pragmas_of_instruction_sets_stay_in_files_named_for_their_set():
    for path in (REPOSITORY / "Sources").rglob("*.[ch]"):
        if "_mm" in path.read_text(encoding="utf-8"):
            assert path.parent.parent == REPOSITORY / "Sources/Kernels", path


def test_the_limits_of_the_security_page_are_those_of_the_source():
    page = read("SECURITY.md")
    for source, code, stated in [
        ("Sources/Engine/Checkpoint/Unpickler.swift", "maximumDepth = 32", "32 levels deep"),
        ("Sources/Engine/Checkpoint/Safetensors.swift", "maximumHeaderBytes = 100_000_000", "a header of 100 MB"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumWidth = 1 << 14", "width 16,384"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumPositions = 1 << 14", "positions 16,384"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumVocabulary = 1 << 24", "vocabulary 2²⁴"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumLabels = 4096", "labels 4,096"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumLayers = 1024", "layers 1,024"),
        ("Sources/Engine/Model/ModelConfig.swift", "maximumBytes = 256 << 20", "256 MiB at most"),
        ("Sources/Engine/JSON/JSONReader.swift", "maximumDepth = 128", "128 levels deep"),
        ("Sources/Engine/Records/RecordReader.swift", "maximumLine = 16 << 20", "16 MiB a line"),
        ("Sources/Engine/Tokenizer/TextTokenizer.swift", "maximumCharacters = 100_000", "100,000 characters a text"),
        ("Sources/Hub/HubClient.swift", "maximumRedirects = 10", "ten at most"),
        ("Sources/Hub/HubError.swift", "longestWait = 300", "pauses over 300 s"),
        ("Sources/Hub/HubError.swift", "tries = 5", "5, 1 TiB, 64 MiB"),
        ("Sources/Hub/HubListing.swift", "maximumSize = 1 << 40", "5, 1 TiB, 64 MiB"),
        ("Sources/Hub/HubListing.swift", "maximumBytes = 64 << 20", "5, 1 TiB, 64 MiB"),
        ("Sources/Hub/HubSettings.swift", "return 10", "| 10, 10 s |"),
        ("Sources/Server/Connections/HTTPConnection.swift", "maxHeaderFieldSize = 16 << 10", "16 KiB, 64 KiB, 200"),
        ("Sources/Server/Connections/HTTPConnection.swift", "maxHeaderListSize = 64 << 10", "16 KiB, 64 KiB, 200"),
        ("Sources/Server/Connections/HTTPConnection.swift", "maxHeaderFieldCount = 200", "16 KiB, 64 KiB, 200"),
        ("Sources/Server/Connections/HTTP2Connection.swift", "place.headBytes ?? 16 << 10", "| 16 KiB together |"),
        ("Sources/Server/Connections/HTTP2Connection.swift", "streams = 100", "| 100; 500 in 1 s, 500 in 25 ms |"),
        ("Sources/Server/Connections/HTTP2Connection.swift", "windowLength = .seconds(1)", "500 in 1 s"),
        ("Sources/Server/Connections/HTTP2Connection.swift", "windowLength = .milliseconds(25)", "500 in 25 ms"),
        ("Sources/Server/Connections/HTTP2Stream.swift", "bodies = 64", "64 of the largest, 128 MiB"),
        ("Sources/Server/Connections/ConnectionRoom.swift", "extras = 32", "| 32; 2 KiB, 1 s |"),
        ("Sources/Server/Connections/ConnectionRoom.swift", "extraHeadBytes = 2 << 10", "| 32; 2 KiB, 1 s |"),
        ("Sources/Server/Connections/ConnectionRoom.swift", "extraTime = Duration.seconds(1)", "| 32; 2 KiB, 1 s |"),
        ("Sources/Server/Connections/ConnectionPlaces.swift", ".milliseconds(100)", "| 0.1, 1 s |"),
        ("Sources/Server/Connections/ConnectionPlaces.swift", ".seconds(1)", "| 0.1, 1 s |"),
        ("Sources/Server/ServerOptions.swift", "connections = 1024", "| 1,024; then"),
        ("Sources/Server/Routes/TextPrediction.swift", "largeBodies = 64", "64 of the largest, 128 MiB"),
        ("Sources/Server/Routes/TextPrediction.swift", "inlineBytes = 16 << 10", "bodies over 16 KiB"),
        ("Sources/Server/Routes/ContentCoding.swift", "largestRatio = 100", "100 times its size or 16 KiB"),
        ("Sources/Server/Routes/ContentCoding.swift", "harmlessBytes = 16 << 10", "100 times its size or 16 KiB"),
        ("Sources/Server/Batching/InferenceQueue.swift", "leastWaitingTokens = 8 << 20", "at least 8,388,608"),
        ("Sources/Server/Records/RecordExport.swift", "maximumLine = 16 << 20", "16 MiB a line"),
        ("Sources/Server/Records/TrainingRecords.swift", "bufferBytes = 16 << 20", "| 16 MiB, 64 MiB, 30 days |"),
        ("Sources/Server/ServerOptions.swift", "fileBytes = 64 << 20", "| 16 MiB, 64 MiB, 30 days |"),
        ("Sources/Server/ServerOptions.swift", "timeToLive = Duration.seconds(30 * 86_400)", "| 16 MiB, 64 MiB, 30 days |"),
        ("Sources/Server/ServerOptions.swift", "bodyBytes = 2 << 20", "| 2 MiB |"),
        ("Sources/Server/ServerOptions.swift", "clientBatch = 128", "| 128 |"),
        ("Sources/Server/ServerOptions.swift", "readTimeout = Duration.seconds(20)", "| 20, 30, 75 s |"),
        ("Sources/Server/ServerOptions.swift", "requestTimeout = Duration.seconds(30)", "| 20, 30, 75 s |"),
        ("Sources/Server/ServerOptions.swift", "idleTimeout = Duration.seconds(75)", "| 20, 30, 75 s |"),
        ("Sources/Server/ServerOptions.swift", "gracePeriod = Duration.seconds(20)", "| 20 s | `--grace-period`"),
    ]:
        assert code in read(source), source
        assert stated in page, stated


def test_the_changelog_has_one_unreleased_section_and_names_the_version():
    sections = re.findall(r"^## (.+)$", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert sections.count("Unreleased") == 1 and sections[0] == "Unreleased"
    version = re.search(r"apusVersion = \"([^\"]+)\"", read("Sources/Engine/Version.swift")).group(1)
    assert version in read("CHANGELOG.md")


@pytest.mark.parametrize("page", OWN)
def test_prose_stays_within_its_columns(page: str):
    lines = without_code_blocks(read(page)).splitlines()
    assert [line for line in lines if len(line) > PROSE_COLUMNS and not line.startswith("|")] == []


def test_the_picture_is_well_formed_described_and_dressed_for_light_and_dark():
    text = read("docs/architecture.svg")
    root = xml.etree.ElementTree.fromstring(text)
    names = [child.tag.rpartition("}")[2] for child in root]
    assert "title" in names and "desc" in names
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:href|src)=\"(?!#)", text) == []
