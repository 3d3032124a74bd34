"""The content of a packed dataset: a sha256 that is computed from the file when it is used.

It is the sha256 of the packed file without the note of the person who imported it, so two files
have the same content if their pixels, labels, split, normalisation, name and classes are the same.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from bench.datasets.checksum_file import check_recorded
from bench.datasets.packed import PackedHeader, hash_tensors, header_bytes, read_header
from bench.support.errors import BenchError
from bench.support.untrusted import open_plain

# The note of a dataset that is part of its content: results were recorded, and shared work was
# seeded, by the sha256 of the file that bench makes by itself. Never edit it.
_NOTE_OF_CONTENT = {"digits": "scikit-learn's 8x8 digits enlarged to 16x16"}


def content_sha256(path: Path) -> str:
    """Return the sha256 of the content of a packed file, in hex.

    The whole file is read and compared with its recorded sha256, once per process as long as the
    file stays as it is: a changed byte is noticed even if size and time of the file are the same.

    Raises:
        BenchError: the file cannot be read, or is damaged.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise BenchError(f"dataset file '{path}' cannot be read: {error.strerror}") from error
    # A program can set mtime, but not ctime.
    state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return _checked_content(path, state)


@lru_cache(maxsize=64)
def sha256_with_note(path: Path, note: str) -> str:
    """Return the sha256 that a packed file would have if it had been imported with another note.

    Records of earlier versions name their data by the sha256 of the file, note included.

    Raises:
        BenchError: the file cannot be read, or is damaged.
    """
    header = read_header(path)
    return hash_tensors(path, header, [_with_note(header, note)])[0]


@lru_cache(maxsize=64)
def _checked_content(path: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001
    header = read_header(path)
    with open_plain(path) as file:
        head = file.read(header.data_start)
    content = _with_note(header, _NOTE_OF_CONTENT.get(header.spec.name, ""))
    prefixes = [head] if head == content else [head, content]
    digests = hash_tensors(path, header, prefixes)
    check_recorded(path, digests[0])
    return digests[-1]


def _with_note(header: PackedHeader, note: str) -> bytes:
    """Return the first bytes of the file with another note."""
    return header_bytes(replace(header.spec, note=note), header.n_train, header.n_test)
