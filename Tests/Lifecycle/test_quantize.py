"""`apus quantize`: its bytes are those of the Python packages, it is there whole or not at all, and it refuses what has no
int8 form."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from apus_server import until
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from checkpoints import MODELS, REPOSITORY, copy_model, int8_checkpoint, int8_file, read_state, write_state
from labelled import predictions, tweets
from pulling import assert_refused
from small_fasttext import train

import verify_export  # in tools/, as int8_checkpoint is

NAMES = ["roberta-tiny", "roberta-odd", "roberta-bf16", "bert-tiny", "bert-one-layer"]
VERIFY = REPOSITORY / "tools/verify_export.py"


@pytest.fixture
def quantize(run_apus, tmp_path: Path) -> Callable[..., Path]:
    """Quantizes a model, which must work, and returns the new directory."""

    def quantize(model: Path, output: str = "int8") -> Path:
        result = run_apus("quantize", "--model", model, "--output", tmp_path / output)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        assert result.stdout.startswith(f"{tmp_path / output}: ") and result.stdout.count("\n") == 1
        return tmp_path / output

    return quantize


@pytest.fixture(scope="module")
def roberta_base_int8(apus: Path, roberta_base: Path, tmp_path_factory: pytest.TempPathFactory):
    output = tmp_path_factory.mktemp("roberta-base") / "int8"
    subprocess.run([apus, "quantize", "--model", roberta_base, "--output", output], check=True, stdout=subprocess.DEVNULL)
    yield output
    shutil.rmtree(output)


@pytest.fixture(scope="module")
def texts(data: Path) -> list[str]:
    return [text for text, _ in tweets(data, 200)]


def refused(run_apus, model: Path | None, output: Path, *words: str) -> None:
    """One error, and nothing at the output or beside it."""
    before = contents(output.parent) if output.parent.exists() else None
    options = [] if model is None else ["--model", model]
    assert_refused(run_apus("quantize", *options, "--output", output), *words)
    assert (contents(output.parent) if output.parent.exists() else None) == before


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is below, with the files' bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# What is written

@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_byte_for_byte_what_python_makes_of_the_weights(quantize, name: str):
    written = quantize(MODELS / name) / "model.safetensors"
    assert written.read_bytes() == int8_file(MODELS / name)
    with safe_open(written, "np") as file:
        assert file.metadata() == {"format": "pt"}
        types = {file.get_slice(name).get_dtype() for name in file.keys()}
    assert types == {"I8", "F32"}


def test_a_row_of_zeros_and_one_with_ties_are_rounded_as_numpy_rounds_them(quantize, tmp_path: Path):
    def change(state):
        matrix = state["bert.encoder.layer.1.output.dense.weight"]  # [32, 64]
        matrix[0] = 0
        matrix[1] = torch.arange(64) + 0.5
        matrix[1, 63] = -127  # a scale of 1: all others lie half way between two integers
        matrix[2] = 1e-42     # subnormal, and so is the scale
        matrix[3, 5] = -0.0

    model = copy_model("bert-tiny", tmp_path / "model", change)
    output = quantize(model)
    assert (output / "model.safetensors").read_bytes() == int8_file(model)
    values = load_file(output / "model.safetensors")
    name = "bert.encoder.layer.1.output.dense.weight"
    assert values[name][0].tolist() == [0] * 64 and values[f"{name}_scale"][0] == 1
    assert values[name][1, :6].tolist() == [0, 2, 2, 4, 4, 6] and values[name][1, 63] == -127


@pytest.mark.parametrize("name", ["roberta-tiny", "roberta-bf16"])
def test_the_same_command_gives_the_same_bytes(quantize, name: str):
    assert contents(quantize(MODELS / name, "first")) == contents(quantize(MODELS / name, "second"))


@pytest.mark.parametrize("name", NAMES)
def test_weights_from_pytorch_and_from_safetensors_give_the_same_bytes(quantize, tmp_path: Path, name: str):
    models = [copy_model(name, tmp_path / file, file=file) for file in ("pytorch_model.bin", "model.safetensors")]
    first, second = (contents(quantize(model, f"int8 {model.name}")) for model in models)
    assert first == second


def test_roberta_base_becomes_a_quarter_of_its_size_embeddings_included(roberta_base: Path, roberta_base_int8: Path):
    written = roberta_base_int8 / "model.safetensors"
    state = read_state(roberta_base)
    size = sum(4 * tensor.numel() for tensor in state.values() if tensor.is_floating_point())
    assert 0.24 <= written.stat().st_size / size <= 0.265
    with safe_open(written, "np") as file:
        embeddings = [name for name in file.keys() if name.endswith("_embeddings.weight")]
        assert len(embeddings) == 3
        for name in embeddings:
            if "token_type" in name:  # a row of it is part of every token
                assert file.get_slice(name).get_dtype() == "F32"
                continue
            values, scales = file.get_slice(name), file.get_slice(f"{name}_scale")
            assert (values.get_dtype(), values.get_shape()) == ("I8", list(state[name].shape))
            assert (scales.get_dtype(), scales.get_shape()) == ("F32", [len(state[name]), 1])
    del state
    assert written.read_bytes() == int8_file(roberta_base)


def test_all_other_settings_stay_as_they_were(quantize, tmp_path: Path):
    settings = {"text_preparation": "none", "task_specific_params": None, "_name_or_path": "/é/\u2028\"\\/\N{SWAN}",
                "mine": {"list": [1, 2.5, None, True, False, "", {}, []], "": 0}, "large": 2**53 + 1, "small": 1.25e-300,
                "negative": -0.1}
    model = copy_model("roberta-tiny", tmp_path / "model", settings=settings)
    before = json.loads((model / "config.json").read_text(encoding="utf-8"))
    after = json.loads((quantize(model) / "config.json").read_text(encoding="utf-8"))
    tensors = load_file(tmp_path / "int8/model.safetensors")
    assert after == before | {"quantization_config": int8_checkpoint.quantization_config(tensors)}
    assert list(after) == [*before, "quantization_config"]


def test_tokenizer_and_reference_files_come_along_and_nothing_else_does(quantize, tmp_path: Path):
    model = copy_model("bert-tiny", tmp_path / "model")
    carried = {
        "vocab.txt": (model / "vocab.txt").read_bytes(), "special_tokens_map.json": b"{}\n",
        "tokenizer_config.json": b'{"do_lower_case": true,  "model_max_length": 512}', "reference_profile.json": b'{"a": 1}',
        "reference_texts.jsonl": b'{"text":"good","label":"positive"}\n',
    }
    left = {"evaluation_report.json": b"{}", "README.md": b"# A model\n", "training_report.json": b"{}",
            "pytorch_model.bin": b"not read beside model.safetensors", "vocab.txt.bak": b""}
    for name, content in (carried | left).items():
        (model / name).write_bytes(content)
    (model / "onnx").mkdir()
    written = contents(quantize(model))
    assert set(written) == {"model.safetensors", "config.json", *carried}
    assert {name: written[name] for name in carried} == carried


# Weights rounded by texts

@pytest.mark.parametrize("name", ["roberta-tiny", "bert-tiny"])
def test_products_of_the_calibration_texts_are_nearer_than_with_weights_rounded_to_the_nearest(
        run_apus, quantize, tmp_path: Path, texts: list[str], name: str):
    """Of each layer but the last, whose other rows than the first Apus never computes, on the inputs that Transformers has."""
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    nearest = load_file(quantize(MODELS / name) / "model.safetensors")
    output = tmp_path / "calibrated"
    result = run_apus("quantize", "--model", MODELS / name, "--output", output, "--calibration", file)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    calibrated = load_file(output / "model.safetensors")

    model = AutoModelForSequenceClassification.from_pretrained(MODELS / name, dtype=torch.float32).eval()
    inputs: dict[str, list[torch.Tensor]] = {}
    for layer, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layer.0." in layer:
            module.register_forward_hook(
                lambda _, given, __, layer=layer: inputs.setdefault(layer, []).append(given[0].flatten(0, -2)))
    verify_export.logits(model, AutoTokenizer.from_pretrained(MODELS / name), [verify_export.prepare(text) for text in texts])
    assert len(inputs) == 6
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    encoder = next(iter(inputs)).split("encoder.")[0]
    # What a norm's outputs lost is in the biases of what reads them, and of what they are added to.
    lost = {key: weights[f"{encoder}{norm}.LayerNorm.bias"] - calibrated[f"{encoder}{norm}.LayerNorm.bias"]
            for key, norm in (("attention", "embeddings"), ("feed-forward", "encoder.layer.0.attention.output"))}
    for name, given in inputs.items():
        rows = torch.cat(given).numpy().astype(np.float64)
        mean = lost["attention" if ".attention." in name else "feed-forward"]
        assert np.abs(mean).max() > .01, f"{name}: nothing was moved"
        less, more = (0, mean) if name.endswith("output.dense") else (mean, 0)
        exact = rows @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]
        assert np.array_equal(calibrated[f"{name}.weight_scale"], nearest[f"{name}.weight_scale"])
        errors = []
        for form, less, more in ((calibrated, less, more), (nearest, 0, 0)):
            matrix = form[f"{name}.weight"].astype(np.float64) * form[f"{name}.weight_scale"]
            errors.append(np.square((rows - less) @ matrix.T + form[f"{name}.bias"] - more - exact).sum())
        assert errors[0] < 0.8 * errors[1], name


@pytest.mark.parametrize(("content", "words"), [
    (b"", ("texts.txt", "has no texts")),
    (b"good\n\xff\n", ("texts.txt", "line 2", "UTF-8")),
], ids=["empty", "no text"])
def test_a_calibration_file_without_texts_is_refused(run_apus, tmp_path: Path, content: bytes, words: tuple[str, ...]):
    (tmp_path / "texts.txt").write_bytes(content)
    result = run_apus("quantize", "--model", MODELS / "bert-tiny", "--output", tmp_path / "int8", "--calibration",
                      tmp_path / "texts.txt")
    assert_refused(result, *words)
    assert not (tmp_path / "int8").exists()


def test_verify_export_takes_weights_rounded_by_texts_as_far_as_it_is_told(
        apus: Path, run_apus, capsys, monkeypatch, text_file: Path, tmp_path: Path):
    model, output = MODELS / "bert-tiny", tmp_path / "int8"
    assert run_apus("quantize", "--model", model, "--output", output, "--calibration", text_file).returncode == 0
    command = ["--original", model, "--export", output, "--apus", apus, "--texts", text_file, "--tolerance", 0.15]
    status, _, errors = verify(capsys, monkeypatch, *command)
    assert status == 1 and "steps off" in errors
    status, _, errors = verify(capsys, monkeypatch, *command, "--steps", 20)
    assert status == 0, errors


# What it says

@pytest.mark.parametrize("name", NAMES)
def test_the_labels_of_the_int8_form_are_those_of_the_model(run_apus, quantize, tmp_path: Path, texts: list[str], name: str):
    state = read_state(MODELS / name)
    bias = next(key for key in state if key in ("classifier.bias", "classifier.out_proj.bias"))
    rows = predictions(run_apus, texts, "--model", MODELS / name, "--precision", "f32")
    before = np.array([row["logits"] for row in rows])

    def balance(state):  # a model that says the same of every text would keep its labels whatever was done to it
        state[bias] = (state[bias].float() - torch.tensor(np.median(before, axis=0))).to(state[bias].dtype)

    model = copy_model(name, tmp_path / "model", balance)
    of_model, of_int8 = (
        [row["label"] for row in predictions(run_apus, texts, "--model", path, "--precision", "int8")]
        for path in (model, quantize(model)))
    assert min(of_model.count(label) for label in set(of_model)) > 20 and len(set(of_model)) == before.shape[1]
    # Half of these texts lie close to a border, where the int8 embeddings, which the model itself has not, may decide.
    assert np.mean([a == b for a, b in zip(of_model, of_int8)]) >= 0.9


def test_the_int8_form_of_roberta_base_keeps_the_labels(run_apus, roberta_base: Path, roberta_base_int8: Path, texts):
    few = texts[:20]
    rows = [predictions(run_apus, few, "--model", path, "--precision", precision)
            for path, precision in ((roberta_base, "f32"), (roberta_base_int8, "int8"))]
    logits = np.array([[row["logits"] for row in of_model] for of_model in rows])
    # Random weights: what matters is that int8 moves the logits by far less than one text's differ from another's.
    assert np.abs(logits[0] - logits[1]).mean() < 0.3 * logits[0].std(axis=0).mean()
    assert sum(a["label"] == b["label"] for a, b in zip(*rows)) >= 18


# tools/verify_export.py

def verify(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *arguments) -> tuple[int, str, str]:
    """The tool in this process, which spares seconds of importing PyTorch; one test below runs it as a user does."""
    monkeypatch.setattr(sys, "argv", ["verify_export.py", *map(str, arguments)])
    status = verify_export.main()
    return status, *capsys.readouterr()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """PyTorch's threads wait for each other longer than so small matrices take."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.fixture
def text_file(texts: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("".join(text + "\n" for text in texts[:10]), encoding="utf-8")
    return path


def alter(file: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = {name: value.copy() for name, value in load_file(file).items()}
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


@pytest.mark.parametrize("name", NAMES)
def test_verify_export_passes(apus: Path, quantize, capsys, monkeypatch, text_file: Path, name: str):
    # Logits of these lie three times as far apart as those that test_compressed_tensors.py holds to the tolerance itself.
    status, output, errors = verify(capsys, monkeypatch, "--original", MODELS / name, "--export", quantize(MODELS / name),
                                    "--apus", apus, "--texts", text_file, "--tolerance", 0.15)
    assert status == 0 and "failed" not in errors, errors
    difference = float(output.split("in f32, Transformers and apus: ")[1].split()[0])
    assert difference <= 1e-4


def test_verify_export_is_exit_code_1_for_a_wrong_weight(apus: Path, quantize, text_file: Path):
    def change(tensors):
        tensors["roberta.encoder.layer.1.output.dense.weight"][7, 3] ^= 2

    export = quantize(MODELS / "roberta-tiny")
    alter(export / "model.safetensors", change)
    command = [sys.executable, VERIFY, "--original", MODELS / "roberta-tiny", "--export", export, "--apus", apus,
               "--texts", text_file]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert result.returncode == 1, result.stderr
    assert "failed: roberta.encoder.layer.1.output.dense.weight is" in result.stderr


def step_of_a_weight(tensors):
    value = tensors["roberta.encoder.layer.0.attention.self.query.weight"]
    value[3, 30] += 1 if value[3, 30] < 127 else -1


def step_of_an_embedding(tensors):
    value = tensors["roberta.embeddings.word_embeddings.weight"]
    value[299, 0] += 1 if value[299, 0] < 127 else -1  # a token that none of the texts may have


def hundredth_of_a_scale(tensors):
    tensors["roberta.encoder.layer.1.intermediate.dense.weight_scale"][5] *= np.float32(1.01)


def scale_of_nan(tensors):
    tensors["classifier.dense.weight_scale"][0] = np.nan


def last_bit_of_a_vector(tensors):
    value = tensors["roberta.encoder.layer.0.output.LayerNorm.bias"]
    value[0] = np.nextafter(value[0], np.float32(9))


def label_projection(tensors):
    tensors["classifier.out_proj.weight"][2, 2] += np.float32(1e-5)


def tensor_too_many(tensors):
    tensors["roberta.encoder.layer.9.attention.self.query.bias"] = np.zeros(32, np.float32)


def tensor_that_is_missing(tensors):
    del tensors["roberta.encoder.layer.1.intermediate.dense.bias"]


def scales_that_are_missing(tensors):
    del tensors["classifier.dense.weight_scale"]


@pytest.mark.parametrize("change", [
    step_of_a_weight, step_of_an_embedding, hundredth_of_a_scale, scale_of_nan, last_bit_of_a_vector, label_projection,
    tensor_too_many, tensor_that_is_missing, scales_that_are_missing,
])
def test_verify_export_fails_for_a_change_of_any_part(apus: Path, quantize, capsys, monkeypatch, text_file: Path, change):
    export = quantize(MODELS / "roberta-tiny")
    alter(export / "model.safetensors", change)
    status, _, errors = verify(capsys, monkeypatch, "--original", MODELS / "roberta-tiny", "--export", export,
                               "--apus", apus, "--texts", text_file)
    assert status == 1 and "failed: " in errors, errors


def test_verify_export_fails_where_less_labels_are_kept(apus: Path, quantize, capsys, monkeypatch, text_file: Path):
    arguments = ("--original", MODELS / "roberta-tiny", "--export", quantize(MODELS / "roberta-tiny"), "--apus", apus,
                 "--texts", text_file)
    status, _, errors = verify(capsys, monkeypatch, *arguments, "--min-agreement", 1.01)
    assert status == 1 and "--min-agreement" in errors


# Where it is written

@pytest.mark.parametrize("output", ["int8", "./int8/", "new/folders/int8", "empty"])
def test_the_output_may_be_new_or_empty_and_its_folders_are_made(run_apus, tmp_path: Path, output: str):
    (tmp_path / "empty").mkdir()
    result = run_apus("quantize", "--model", MODELS / "bert-tiny", "--output", output)  # relative to tmp_path
    assert result.returncode == 0, result.stderr
    assert (tmp_path / output / "model.safetensors").read_bytes() == int8_file(MODELS / "bert-tiny")
    assert not list(tmp_path.rglob("*.partial"))


def test_an_output_that_exists_is_refused_and_untouched(run_apus, tmp_path: Path):
    model = copy_model("bert-tiny", tmp_path / "model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("folder")
    for output in ("folder", "file", "link", "model", "file/below"):
        refused(run_apus, model, tmp_path / output, str(tmp_path / output))
    assert (tmp_path / "file").read_text() == "mine" and os.readlink(tmp_path / "link") == "folder"


def test_an_output_without_a_name_is_refused(run_apus):
    assert_refused(run_apus("quantize", "--model", MODELS / "bert-tiny", "--output", ""), "--output", "empty")
    assert run_apus("quantize", "--model", MODELS / "bert-tiny").returncode == 64


def test_a_folder_that_may_not_be_written_is_named(run_apus, disk):
    place = disk("size=1m")
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    refused(run_apus, MODELS / "bert-tiny", place / "int8", str(place / "int8"), "Read-only file system")
    refused(run_apus, MODELS / "bert-tiny", place / "new/int8", str(place / "new/int8"), "cannot be made")
    refused(run_apus, MODELS / "bert-tiny", Path("/proc/none/int8"), "/proc/none/int8", "cannot be made")


def test_a_disk_that_is_full_at_whatever_point_holds_nothing_afterwards(run_apus, quantize, disk):
    whole = contents(quantize(MODELS / "roberta-tiny"))
    # A tmpfs counts pages. The last ones fit all files; before, there is no room for the weights, or for what comes behind.
    pages = sum(-(-len(content) // 4096) for content in whole.values())
    failures = []
    for count in range(1, pages + 4):
        place = disk(f"size={4 * count}k")
        result = run_apus("quantize", "--model", MODELS / "roberta-tiny", "--output", place / "int8")
        if result.returncode == 0:
            assert contents(place / "int8") == whole
            break
        assert_refused(result, str(place / "int8"), "No space left on device")
        assert not contents(place), f"left on a disk of {count} pages"
        failures.append(next(name for name in sorted(whole, key=len, reverse=True) if name in result.stderr))
    else:
        raise AssertionError("a disk with room for all files was not enough")
    assert {"model.safetensors", "vocab.json"} <= set(failures)


def test_a_full_disk_keeps_no_folders_that_were_made_for_it(run_apus, disk):
    place = disk("size=16k")
    refused(run_apus, MODELS / "roberta-tiny", place / "new/folders/int8", "No space left on device")


def test_a_disk_without_room_for_a_file_more_holds_nothing_afterwards(run_apus, disk):
    for inodes in range(1, 5):  # the disk's own folder counts
        place = disk("size=1m", f"nr_inodes={inodes}")
        refused(run_apus, MODELS / "roberta-tiny", place / "int8", str(place / "int8"), "No space left on device")


@pytest.mark.parametrize("moment", ["it begins to write", "it writes the weights"])
def test_killed_half_way_it_leaves_nothing_under_the_final_name(
    start_apus, run_apus, roberta_base: Path, tmp_path: Path, moment: str
):
    folder = tmp_path / "models"
    folder.mkdir()

    def written() -> int | None:
        """How much is there yet, in bytes; None for not even a folder."""
        sizes = []
        for path in folder.rglob("*"):
            try:
                sizes.append(path.stat().st_size if path.is_file() else 0)
            except FileNotFoundError:
                pass  # renamed meanwhile
        return sum(sizes) if sizes else None

    process = start_apus("quantize", "--model", roberta_base, "--output", folder / "int8")
    until(lambda: written() is not None if moment == "it begins to write" else (written() or 0) > 1 << 20, moment, 30)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended already"
    assert not (folder / "int8").exists()
    # What was left does not stand in the way.
    assert run_apus("quantize", "--model", MODELS / "bert-tiny", "--output", folder / "int8").returncode == 0
    shutil.rmtree(folder)


def test_of_two_at_once_one_wins_and_the_other_says_so(start_apus, tmp_path: Path):
    """The loser may see the winner's directory when it begins, or when it has all written."""
    for attempt in range(3):
        output = tmp_path / f"{attempt}/int8"
        processes = [start_apus("quantize", "--model", MODELS / "roberta-tiny", "--output", output) for _ in range(4)]
        results = [(*process.communicate(timeout=30), process.returncode) for process in processes]
        assert sorted(status for *_, status in results) == [0, 2, 2, 2]
        for stdout, stderr, status in results:
            if status == 2:
                assert stdout == "" and stderr.startswith(f"apus: {output}") and stderr.count("\n") == 1
        assert [path.name for path in output.parent.iterdir()] == ["int8"]
        assert (output / "model.safetensors").read_bytes() == int8_file(MODELS / "roberta-tiny")


# What has no int8 form

def test_a_quantized_model_is_not_quantized_again(run_apus, quantize, tmp_path: Path):
    for model in (MODELS / "roberta-int8", quantize(MODELS / "bert-tiny"), None):  # None: the one inside the package
        refused(run_apus, model, tmp_path / "again", "quantized already", "config.json")


def test_a_fasttext_model_is_refused_and_told_what_makes_it_smaller(run_apus, tmp_path: Path):
    folder = tmp_path / "fasttext"
    folder.mkdir()
    file = train(folder / "model.bin", [("good fine", "positive"), ("bad poor", "negative")])
    for model in (file, folder):
        refused(run_apus, model, tmp_path / "int8", str(model), "fastText", ".ftz")


QUERY = "roberta.encoder.layer.1.attention.self.query.weight"  # [36, 36] in roberta-odd: two vectors of 16 and a rest
WORDS = "roberta.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(("tensor", "place", "value"), [
    *[(QUERY, (3, column), float("nan")) for column in (0, 1, 15, 16, 31, 32, 35)],
    (QUERY, (0, 0), float("inf")), (QUERY, (35, 17), float("-inf")),
    (WORDS, (299, 35), float("nan")), (WORDS, (0, 0), float("inf")),
    ("classifier.out_proj.weight", (1, 35), float("nan")), ("classifier.out_proj.bias", (0,), float("nan")),
    ("roberta.encoder.layer.0.output.LayerNorm.weight", (35,), float("inf")),
])
def test_weights_that_are_no_numbers_are_refused_by_their_name(run_apus, tmp_path: Path, tensor: str, place, value: float):
    def change(state):
        state[tensor][place] = value

    model = copy_model("roberta-odd", tmp_path / "model", change)
    refused(run_apus, model, tmp_path / "int8", "model.safetensors", tensor, "not finite")


@pytest.mark.parametrize("name", ["roberta-bf16", "bert-one-layer"])  # bfloat16, float16
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_nan_of_two_bytes_is_refused_too(run_apus, tmp_path: Path, name: str, file: str):
    tensor = next(tensor for tensor in read_state(MODELS / name) if tensor.endswith("layer.0.intermediate.dense.weight"))

    def change(state):
        state[tensor][1, 1] = float("nan")

    refused(run_apus, copy_model(name, tmp_path / "model", change, file=file), tmp_path / "int8", file, tensor, "not finite")


def test_a_model_that_could_not_be_served_is_not_quantized(run_apus, tmp_path: Path):
    model = copy_model("bert-tiny", tmp_path / "model")
    whole = read_state(model)
    del whole["bert.pooler.dense.bias"]
    write_state(model, whole)
    refused(run_apus, model, tmp_path / "int8", "model.safetensors", "bert.pooler.dense.bias")
    (model / "vocab.txt").unlink()
    refused(run_apus, model, tmp_path / "int8", str(model))
    refused(run_apus, tmp_path / "none", tmp_path / "int8", str(tmp_path / "none"), "does not exist")
