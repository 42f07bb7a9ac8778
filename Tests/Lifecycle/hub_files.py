"""What a fake Hub holds: repositories, their commits, the files of a commit with the hashes that git and LFS give them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

LFS_SUFFIXES = (".bin", ".safetensors", ".ftz", ".h5", ".msgpack", ".onnx")


@lru_cache
def _sha256_of(path: Path, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class File:
    name: str
    content: bytes | Path

    @property
    def is_large(self) -> bool:
        """Whether it lies in LFS, and so at the CDN."""
        return self.name.endswith(LFS_SUFFIXES)

    @cached_property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @cached_property
    def sha256(self) -> str:
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        return _sha256_of(self.content, self.content.stat().st_mtime_ns)

    @property
    def pointer(self) -> bytes:
        """What git holds in place of a large file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @cached_property
    def blob_id(self) -> str:
        """git's hash; of a large file, that of its pointer."""
        content = self.pointer if self.is_large else self.read()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_large else self.blob_id

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def as_sibling(self, with_blobs: bool) -> dict[str, Any]:
        """Its entry in `siblings` of /api/models."""
        entry: dict[str, Any] = {"rfilename": self.name}
        if with_blobs:
            entry |= {"size": self.size, "blobId": self.blob_id}
            if self.is_large:
                entry["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": len(self.pointer)}
        return entry

    def as_tree_entry(self) -> dict[str, Any]:
        """Its entry in the answer of /tree."""
        entry: dict[str, Any] = {"type": "file", "oid": self.blob_id, "size": self.size, "path": self.name}
        if self.is_large:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": len(self.pointer)}
        return entry


def files_of(source: Path | Mapping[str, bytes | Path]) -> dict[str, File]:
    """The files of a directory, or those of a mapping from names to bytes or paths."""
    if isinstance(source, Path):
        source = {str(path.relative_to(source)): path for path in sorted(source.rglob("*")) if path.is_file()}
    return {name: File(name, content) for name, content in source.items()}


@dataclass
class Repository:
    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, File], branch: str) -> str:
        """Makes the branch point at a new commit with these files; its hash."""
        lines = [self.id, self.refs.get(branch, ""), *(f"{file.name} {file.etag}" for file in files.values())]
        sha = hashlib.sha1("\n".join(lines).encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha

    def find(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a hash names."""
        return revision if revision in self.commits else self.refs.get(revision)
