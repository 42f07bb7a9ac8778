"""Each architecture, as Transformers makes and saves it, gives the logits that Transformers gives: in f32; near them in int8,
the same whether the weights were quantized before or while loading; and the same bits without vector instructions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import (AutoModelForMaskedLM, AutoModelForPreTraining, AutoModelForSequenceClassification,
                          AutoTokenizer, XLMRobertaConfig)

from checkpoint_forms import (Form, composed, edit_config, gamma_beta, legacy_file, position_ids, prefixed,
                              pretraining_tensors, safetensors_shards, unprefixed)
from checkpoints import copy_model, int8_checkpoint
from classifiers import (CONFIGS, LABELS, NAMES, OPTIONS, POSITIONS, TEXTS, assert_near, make_model, quiet,  # noqa: F401
                         save, transformers_logits)
from classifiers import logits as transformers_logits_of
from labelled import predictions

from reference_models import INT8_KEYS, quantize_linear_layers  # in tools/, as int8_checkpoint is

# One of each architecture.
MAIN = ["bert", "roberta", "distilbert", "xlm-roberta", "camembert", "electra", "mpnet", "albert", "modernbert", "deberta"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory):
    """The directory of a model, made when it is first asked for, with its expected logits."""
    place = tmp_path_factory.mktemp("classifiers")
    made: dict[str, tuple[Path, np.ndarray]] = {}

    def model(name: str) -> tuple[Path, np.ndarray]:
        if name not in made:
            directory = save(make_model(CONFIGS[name]), place / name)
            made[name] = directory, np.array(transformers_logits(directory))
        return made[name]

    return model


def predicted(run_apus, directory: Path, precision: str, **options) -> list[dict]:
    return predictions(lambda *arguments: run_apus(*arguments, **options), TEXTS, "--model", directory,
                       "--precision", precision, *OPTIONS)


def logits(run_apus, directory: Path, precision: str, **options) -> np.ndarray:
    return np.array([row["logits"] for row in predicted(run_apus, directory, precision, **options)])


@pytest.fixture(scope="module")
def remembered() -> dict[tuple[str, str], np.ndarray]:
    return {}


@pytest.fixture
def found(run_apus, models, remembered):
    """What apus says of the texts by a model as it is, which several tests ask for and one run answers."""

    def found(name: str, precision: str) -> np.ndarray:
        if (name, precision) not in remembered:
            remembered[name, precision] = logits(run_apus, models(name)[0], precision)
        return remembered[name, precision]

    return found


def centred(rows: np.ndarray) -> np.ndarray:
    """What is different from text to text."""
    return rows - rows.mean(axis=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_logits_are_those_of_transformers(run_apus, models, name: str):
    directory, expected = models(name)
    assert len(set(expected.argmax(axis=1))) > 1, "one label for all proves little"
    assert centred(expected).std() > 0.05, "logits that hardly change from text to text prove little"
    rows = predicted(run_apus, directory, "f32")
    assert_near(rows, expected)
    for row, best in zip(rows, expected.argmax(axis=1)):
        assert list(row["scores"]) == LABELS and row["label"] == LABELS[best]
        assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_near_f32(found, models, name: str):
    _, expected = models(name)
    int8 = found(name, "int8")
    assert not np.array_equal(int8, found(name, "f32")), "int8 is not f32"
    # The weights are random, so most of what a trained model would ignore counts; what matters is that int8 moves a logit
    # by far less than one text's differ from another's.
    moved = np.abs(int8 - expected).mean() / np.abs(centred(expected)).mean()
    correlation = np.corrcoef(centred(int8).flatten(), centred(expected).flatten())[0, 1]
    assert correlation > 0.98 and moved < 0.2, f"correlation {correlation:.4f}, moved by {moved:.3f} of their differences"


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_what_its_arithmetic_in_pytorch_says(found, models, name: str):
    """Short texts, whose attention is f32. The last bit of a sum decides which way a number half way between two levels is
    rounded, so that a text now and then is off by what a level is worth, or all long ones by one of DeBERTa's distances."""
    directory, expected = models(name)
    tokens = AutoTokenizer.from_pretrained(directory)
    short = [number for number, text in enumerate(TEXTS) if len(tokens(text)["input_ids"]) < INT8_KEYS]
    assert len(short) >= 10
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    simulated = np.array(transformers_logits_of(quantize_linear_layers(model.eval()), tokens, [TEXTS[i] for i in short]))
    off, moved = (np.abs(rows[short] - simulated).max(axis=1) for rows in (found(name, "int8"), expected))
    # As a share of what int8 does at all: f32 in the place of one of these products is more than half of it.
    assert np.median(off) < 0.4 * np.median(moved) and off.min() < 1e-5, f"{np.median(off):.5f} of {np.median(moved):.5f}"


@pytest.mark.parametrize("name", NAMES)
def test_quantizing_before_gives_the_bits_of_quantizing_while_loading(run_apus, models, tmp_path: Path, name: str):
    directory, expected = models(name)
    result = run_apus("quantize", "--model", directory, "--output", tmp_path / "int8")
    assert result.returncode == 0, result.stderr
    before = logits(run_apus, tmp_path / "int8", "int8")
    correlation = np.corrcoef(centred(before).flatten(), centred(expected).flatten())[0, 1]
    assert correlation > 0.97, f"{correlation:.4f}"

    # What is looked up, and not multiplied, stays in f32 while loading: so it is rounded here first.
    rounded = int8_checkpoint.dequantize(load_file(tmp_path / "int8/model.safetensors"))

    def round_tables(state) -> None:
        for tensor in state:
            if tensor.endswith(("embeddings.weight", "relative_attention_bias.weight")):
                state[tensor] = torch.from_numpy(rounded[tensor])

    copy = copy_model(directory, tmp_path / "model", round_tables)
    assert np.array_equal(logits(run_apus, copy, "int8"), before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_without_vector_instructions_every_bit_is_the_same(run_apus, found, models, name: str, precision: str):
    scalar = logits(run_apus, models(name)[0], precision, env={"APUS_FORCE_ISA": "scalar"})
    assert np.array_equal(scalar, found(name, precision))


@pytest.mark.parametrize("name", MAIN)
def test_a_text_alone_says_what_it_says_among_others(run_apus, found, models, name: str):
    directory, _ = models(name)
    together = found(name, "f32")
    for number in (0, 5, len(TEXTS) - 1):
        alone = predictions(run_apus, [TEXTS[number]], "--model", directory, "--precision", "f32", *OPTIONS)[0]["logits"]
        assert alone == together[number].tolist()


# Which model for pretraining has what a classifier has not; DeBERTa's head has two forms.
LEFTOVERS = [(name, AutoModelForMaskedLM, {}) for name in MAIN] + [
    ("bert", AutoModelForPreTraining, {}), ("electra", AutoModelForPreTraining, {}), ("albert", AutoModelForPreTraining, {}),
    ("deberta", AutoModelForMaskedLM, {"legacy": False})]


@pytest.mark.parametrize(("name", "kind", "settings"), LEFTOVERS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_what_a_pretraining_head_left_behind_is_named_in_a_warning(
    run_apus, models, tmp_path: Path, name: str, kind: type, settings: dict
):
    directory, expected = models(name)
    leftover = pretraining_tensors(directory, kind, **settings)
    assert leftover
    copy = copy_model(directory, tmp_path / "model", lambda state: state.update(leftover))
    result = run_apus("predict", "--model", copy, "--precision", "f32", *OPTIONS, TEXTS[4])
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("apus: ") and result.stderr.count("\n") == 1
    for head in {tensor.split(".")[0] for tensor in leftover}:
        assert head in result.stderr
    assert_near(predicted(run_apus, copy, "f32"), expected)


# What each architecture's tensors begin with, in a classifier.
BASES = {name: "roberta" if "roberta" in name or name == "camembert" else "model" if name == "modernbert" else name
         for name in MAIN}


@pytest.mark.parametrize("name", MAIN)
def test_an_old_checkpoint_of_each_architecture_loads(run_apus, models, tmp_path: Path, name: str):
    """torch.save before PyTorch 1.6, LayerNorm's old names, the buffer of positions, DataParallel's prefix; all at once."""
    directory, expected = models(name)
    form = Form(legacy_file, composed(gamma_beta, position_ids, prefixed("module.")))
    assert_near(predicted(run_apus, form.make(directory, tmp_path / "model"), "f32"), expected)


@pytest.mark.parametrize("name", MAIN)
def test_shards_without_the_prefix_of_each_architecture_load(run_apus, models, tmp_path: Path, name: str):
    directory, expected = models(name)
    form = Form(safetensors_shards, composed(position_ids, unprefixed(BASES[name])))
    assert_near(predicted(run_apus, form.make(directory, tmp_path / "model"), "f32"), expected)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "camembert", "mpnet"])
def test_a_pooler_that_the_classifier_does_not_use_may_stay(run_apus, models, tmp_path: Path, name: str):
    directory, expected = models(name)
    pooler = {f"{BASES[name]}.pooler.dense.weight": torch.ones(48, 48), f"{BASES[name]}.pooler.dense.bias": torch.ones(48)}
    copy = copy_model(directory, tmp_path / "model", lambda state: state.update(pooler))
    assert_near(predicted(run_apus, copy, "f32"), expected)


@pytest.mark.parametrize("name", [name for name in MAIN if name not in ("modernbert", "deberta")])
def test_a_text_longer_than_the_positions_is_cut_where_they_end(run_apus, models, name: str):
    """RoBERTa's and MPNet's first two positions are no token's. (Those left out have positions without end.)"""
    directory, _ = models(name)
    tokens = AutoTokenizer.from_pretrained(directory)
    text = " ".join(TEXTS)
    limit = POSITIONS - 2 if BASES[name] in ("roberta", "mpnet") else POSITIONS
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32).eval()
    inputs = tokens(text, return_tensors="pt", truncation=True, max_length=limit)
    assert inputs["input_ids"].shape == (1, limit)
    with torch.no_grad():
        expected = model(**inputs).logits.numpy()
    row = predictions(run_apus, [text], "--model", directory, "--precision", "f32", *OPTIONS)[0]
    assert_near([row], expected)


def test_the_8194_positions_of_a_well_known_reranker_are_not_too_many(run_apus, tmp_path: Path):
    """BAAI/bge-reranker-v2-m3: an XLM-RoBERTa with one label, of tokens from 2 to 8193."""
    config = XLMRobertaConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                              max_position_embeddings=8194, type_vocab_size=1, layer_norm_eps=1e-5)
    directory = save(make_model(config, labels=["LABEL_0"], keeps_sizes=True), tmp_path / "model")
    texts = [TEXTS[0], " ".join(3 * TEXTS)]
    rows = predictions(run_apus, texts, "--model", directory, "--precision", "f32", *OPTIONS)
    assert_near(rows, transformers_logits(directory, texts))


# Settings as other versions of the library wrote them, and people's files have them.

ID2LABEL = {"2": "sadness", "1": "joy", "0": "anger"}
OLD_SETTINGS = {
    "deberta": {"pos_att_type": "p2c|c2p", "pooler_dropout": 0},
    "modernbert": {"layer_types": ..., "rope_parameters": ..., "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
                   "local_rope_theta": 10000.0, "position_embedding_type": "absolute", "reference_compile": True},
    "modernbert-mean": {"layer_types": ..., "rope_parameters": ..., "global_attn_every_n_layers": 2,
                        "global_rope_theta": 80000.0, "local_rope_theta": 500.0},
    "modernbert-silu": {"rope_parameters": ..., "layer_types": ...},  # with every third layer global, as by default
    "distilbert": {"tie_weights_": True, "qa_dropout": 0.1, "problem_type": None},
    "distilbert-relu": {"dim": ..., "n_heads": ..., "n_layers": ..., "hidden_size": 64, "num_attention_heads": 2,
                        "num_hidden_layers": 3},  # the names of the other architectures, which it takes too
    "roberta": {"problem_type": None, "classifier_dropout": None, "task_specific_params": None, "finetuning_task": None,
                "bos_token_id": None, "eos_token_id": None, "_num_labels": 3, "use_cache": True, "id2label": ID2LABEL},
    "mpnet": {"problem_type": None, "tokenizer_class": None, "torch_dtype": None},
    "albert": {"net_structure_type": 0, "gap_size": 0, "down_scale_factor": 1, "num_memory_blocks": 0},
    "electra": {"summary_type": "first", "summary_use_proj": True, "vocab_type": "WordPiece"},
    "bert": {"gradient_checkpointing": False, "output_past": True, "position_embedding_type": "absolute", "pruned_heads": {},
             "torch_dtype": "float32", "dtype": ..., "transformers_version": "4.1.0", "finetuning_task": "sst-2",
             "pad_token_id": None, "problem_type": None},
}


@pytest.mark.parametrize("name", OLD_SETTINGS)
def test_settings_as_older_versions_wrote_them_mean_the_same(run_apus, tmp_path: Path, name: str):
    directory = save(make_model(CONFIGS[name]), tmp_path / "model")
    edit_config(directory, **OLD_SETTINGS[name])
    assert_near(predicted(run_apus, directory, "f32"), transformers_logits(directory))


def test_the_shared_tokenizer_gives_the_ids_of_transformers(run_apus, models):
    directory, _ = models("bert")
    tokens = AutoTokenizer.from_pretrained(directory)
    for text in TEXTS:
        result = run_apus("tokenize", "--model", directory, "--text-preparation", "none", text)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["ids"] == tokens(text)["input_ids"]
