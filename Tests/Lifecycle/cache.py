"""The Hugging Face cache on disk, and Python's client of it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Patterns of the files that `apus pull` fetches, for Python's client.
NEEDED = ["config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json", "vocab.json",
          "merges.txt", "vocab.txt", "special_tokens_map.json", "added_tokens.json"]


@dataclass(frozen=True)
class Cache:
    path: Path  # what HF_HUB_CACHE names

    def repository(self, id: str) -> Path:
        return self.path / "--".join(["models", *id.split("/")])

    def snapshot(self, id: str, commit: str) -> Path:
        return self.repository(id) / "snapshots" / commit

    def blobs(self, id: str) -> dict[str, int]:
        """Names in blobs/, with sizes."""
        folder = self.repository(id) / "blobs"
        return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}

    def incomplete(self, id: str) -> dict[str, int]:
        return {name: size for name, size in self.blobs(id).items() if name.endswith(".incomplete")}

    def files(self) -> set[Path]:
        """Links included."""
        return {path for path in self.path.rglob("*") if path.is_symlink() or path.is_file()}

    def assert_true(self) -> None:
        """Whatever happened, nothing here lies: each blob's content has the hash that its name says, each link of a snapshot
        leads to a blob of the same repository, relatively, and each ref names a commit."""
        for repository in self.path.glob("models--*"):
            for blob in (repository / "blobs").glob("*"):
                if not blob.name.endswith(".incomplete"):
                    assert blob.name == hash_like(blob.name, blob.read_bytes()), f"{blob} does not hold what it is called"
            for link in (path for path in (repository / "snapshots").rglob("*") if not path.is_dir()):
                assert link.is_symlink(), f"{link} is a file of its own"
                target = os.readlink(link)
                assert not os.path.isabs(target), f"{link} leads to an absolute path, {target}"
                assert link.resolve(strict=True).parent == (repository / "blobs").resolve(), f"{link} leads to {target}"
                assert not link.resolve().name.endswith(".incomplete"), f"{link} leads to half a file"
            for ref in (path for path in (repository / "refs").rglob("*") if path.is_file()):
                assert re.fullmatch("[0-9a-f]{40}", ref.read_text()), f"{ref} names no commit: {ref.read_text()!r}"

    # Python's client, as `huggingface_hub` and Transformers use it

    def python_snapshot(self, id: str, hub: str | None = None, **options: Any) -> Path:
        """snapshot_download; without a hub, of what is in the cache."""
        from huggingface_hub import snapshot_download

        options = {"token": False, "local_files_only": hub is None} | options
        return Path(snapshot_download(id, cache_dir=self.path, endpoint=hub, **options))

    def python_file(self, id: str, name: str, hub: str | None = None, **options: Any) -> Path:
        """hf_hub_download; without a hub, of what is in the cache."""
        from huggingface_hub import hf_hub_download

        options = {"token": False, "local_files_only": hub is None} | options
        return Path(hf_hub_download(id, name, cache_dir=self.path, endpoint=hub, **options))


def hash_like(name: str, content: bytes) -> str:
    """The content's hash of the kind that the name is: git's SHA-1 of a blob, or LFS's SHA-256."""
    if len(name) == 40:
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return hashlib.sha256(content).hexdigest()
