"""The work folder: checkpoints that an interrupted run goes on from."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import shutil
from pathlib import Path

import torch

import int8_checkpoint
from classification_data import InputError

RUN = "run.json"
LOCK = "run.lock"
DIGESTS = {"data_sha256": "other data", "base_sha256": "another base", "unlabelled_sha256": "other texts without labels",
           "soft_labels_sha256": "other soft labels", "teachers_sha256": "other teachers"}
BASE = "base"  # a base that was extended
PLAIN = "f32"  # one that was in int8


class Work:
    """Belongs to one run, that is to one set of arguments and data, and to one process."""

    def __init__(self, folder: Path, run: dict):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in folder.iterdir() if path.name != LOCK and path.suffix != ".partial"]
        advice = "Delete the folder to begin anew, or name another by --work"
        if others and RUN not in others:
            raise InputError(f"{folder}: holds {others[0]}, but no {RUN} of train.py. {advice}")
        self.lock = (folder / LOCK).open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{folder}: another train.py works there; wait for it, or name another --work") from None
        if not others:
            int8_checkpoint.replace(folder / RUN, (json.dumps(run, indent=2) + "\n").encode())
            return
        try:
            found = json.loads((folder / RUN).read_text(encoding="utf-8"))
        except ValueError:
            raise InputError(f"{folder / RUN}: is not JSON. {advice}") from None
        differences = [DIGESTS.get(key) or f"{key} {json.dumps(found.get(key))}, now {json.dumps(run.get(key))}"
                       for key in run | found if found.get(key) != run.get(key)]
        if differences:
            raise InputError(f"{folder}: holds the checkpoints of another run, with {'; '.join(differences)}. {advice}")

    def load(self, name: str, device: str) -> dict | None:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: is damaged: {reason}. Delete it; what it held is trained anew") from None

    def save(self, name: str, state: dict) -> None:
        """Whole or not at all, whatever happens meanwhile."""
        partial = self.folder / f"{name}.partial"
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / name)

    def remove(self) -> None:
        """Deletes what was written here, and the folder if nothing else is in it."""
        for name in (BASE, PLAIN):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in [*self.folder.glob("*.pt"), *self.folder.glob("*.partial"), self.folder / RUN, self.folder / LOCK]:
            path.unlink(missing_ok=True)
        self.lock.close()
        with contextlib.suppress(OSError):
            self.folder.rmdir()
