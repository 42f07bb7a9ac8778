"""What teachers say of texts: probabilities, found by the texts' SHA-256, so that a file of them holds no text."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import int8_checkpoint
from classification_data import DatasetError, InputError, lines_of

KEY_BYTES = 6  # of a SHA-256: two of 10⁶ texts share them with a probability of 0.2 %
ADVICE = "Make the file anew with train.py --teacher, which leaves it in its work folder"


@dataclass(frozen=True)
class SoftLabels:
    """A `.npz` with `labels` (their names), `keys` (u8 [texts, 6], the first bytes of each prepared text's SHA-256, in
    ascending order) and `probabilities` (f16 [texts, labels])."""
    labels: list[str]
    keys: np.ndarray  # u64 [texts], ascending
    probabilities: np.ndarray  # f16 [texts, labels]

    @classmethod
    def of(cls, labels: list[str], texts: Sequence[str], probabilities: np.ndarray) -> SoftLabels:
        """- probabilities: [texts, labels]; of a text that stands twice the first row counts."""
        keys, first = np.unique(text_keys(texts), return_index=True)
        return cls(labels, keys, probabilities[first].astype(np.float16))

    @classmethod
    def read(cls, path: Path, labels: list[str]) -> SoftLabels:
        """- labels: those of the model to be taught; the file may have them in another order."""
        try:
            with np.load(path, allow_pickle=False) as file:
                names, keys, probabilities = (file[name] for name in ("labels", "keys", "probabilities"))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: is not a file of soft labels: {reason}. {ADVICE}") from None
        found = [str(name) for name in names.flatten()]
        if sorted(found) != sorted(labels):
            raise InputError(f"{path}: is of the labels {', '.join(found)}; the data set's are {', '.join(labels)}. Give "
                             "soft labels for these")
        if (keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != KEY_BYTES
                or probabilities.shape != (len(keys), len(found)) or probabilities.dtype != np.float16):
            raise InputError(f"{path}: keys are {keys.dtype} {list(keys.shape)} and probabilities {probabilities.dtype} "
                             f"{list(probabilities.shape)}; they must be uint8 [texts, {KEY_BYTES}] and float16 [texts, "
                             f"{len(found)}]. {ADVICE}")
        numbers = as_numbers(keys)
        sums = probabilities.astype(np.float32).sum(1)
        if not (np.all(np.diff(numbers.astype(np.int64)) > 0) and np.all(probabilities >= 0)
                and np.all(np.abs(sums - 1) < 0.01)):
            raise InputError(f"{path}: the keys do not ascend, or some row is no distribution (its sum is not 1). {ADVICE}")
        return cls(labels, numbers, probabilities[:, [found.index(label) for label in labels]])

    def write(self, path: Path) -> None:
        keys = np.frombuffer(self.keys.astype(">u8").tobytes(), np.uint8).reshape(-1, 8)[:, -KEY_BYTES:]
        content = io.BytesIO()
        # By columns: the first bytes of ascending keys compress to nothing.
        np.savez_compressed(content, labels=np.array(self.labels), keys=np.asfortranarray(keys),
                            probabilities=self.probabilities)
        int8_checkpoint.replace(path, content.getvalue())

    def lookup(self, texts: Sequence[str]) -> np.ndarray:
        """f32 [texts, labels], each row with the sum 1; NaN where a text is not known."""
        found = np.full((len(texts), len(self.labels)), np.nan, np.float32)
        if len(self.keys):
            keys = text_keys(texts)
            places = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            known = self.keys[places] == keys
            rows = self.probabilities[places[known]].astype(np.float32)
            found[known] = rows / rows.sum(1, keepdims=True)
        return found

    def digest(self) -> str:
        """SHA-256 of everything in it."""
        total = hashlib.sha256("\t".join(self.labels).encode())
        total.update(self.keys.tobytes())
        total.update(self.probabilities.tobytes())
        return total.hexdigest()


def text_keys(texts: Sequence[str]) -> np.ndarray:
    """u64 [texts]"""
    digests = b"".join(hashlib.sha256(text.encode()).digest()[:KEY_BYTES] for text in texts)
    return as_numbers(np.frombuffer(digests, np.uint8).reshape(-1, KEY_BYTES))


def as_numbers(keys: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(keys), 8), np.uint8)
    padded[:, -KEY_BYTES:] = keys
    return padded.view(">u8").astype(np.uint64).reshape(-1)


def read_texts(path: Path) -> list[str]:
    """A text a line, UTF-8, gzip where the name ends in .gz; blank lines are passed over."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        if not path.exists():
            raise DatasetError(f"{path}: does not exist. --unlabelled takes a file with a text a line") from None
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    texts = [line for line in lines_of(content, path) if line.strip()]
    if not texts:
        raise DatasetError(f"{path}: has no texts; give one a line")
    return texts
