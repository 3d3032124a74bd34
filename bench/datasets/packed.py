"""The packed file: a whole dataset as uint8 in one safetensors file, read through a memory map.

The sha256 of its content is part of every result's identity, so its bytes must depend on pixels,
labels and spec only, not on the version of a library. Therefore this module writes the header
itself: labels first (so that int64 is aligned), then images, and one metadata key with canonical
JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.datasets.source import Arrays, channels_first
from bench.datasets.spec import DatasetSpec
from bench.support.atomic_files import remove_abandoned, replacing
from bench.support.errors import BenchError
from bench.support.strict_json import parse_json
from bench.support.untrusted import Limit, header_length, open_plain

FORMAT = 1
# Errors of code that reads a header which is JSON, but not ours.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
_ITEM_BYTES = {"I64": 8, "U8": 1}
# Bytes that are read at a time to hash a file.
_CHUNK = 2**20


@dataclass(frozen=True)
class PackedHeader:
    """The header of a packed file.

    Attributes:
        spec: the dataset.
        n_train: number of images in the train part.
        n_test: number of images in the test part.
        data_start: offset of the first tensor, in bytes.
        size: size of the whole file, in bytes.
    """

    spec: DatasetSpec
    n_train: int
    n_test: int
    data_start: int
    size: int


def write_packed(path: Path, spec: DatasetSpec, arrays: Arrays) -> str:
    """Write a dataset that has passed its checks, atomically.

    Args:
        path: the file; an existing one is replaced.
        spec: what the header says of the dataset.
        arrays: the pixels and labels.

    Returns:
        The file's sha256, in hex.
    """
    digest = hashlib.sha256()
    remove_abandoned(path.parent)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for chunk in _file_parts(spec, arrays):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def read_header(path: Path) -> PackedHeader:
    """Read and check the header of a packed file, without its pixels.

    Raises:
        BenchError: the file cannot be read, is damaged or truncated, or is of a newer format.
    """
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            raw = _header_bytes(file, size)
        return _parse(parse_json(raw), 8 + len(raw), size)
    except OSError as error:
        raise BenchError(f"dataset file '{path}' cannot be read: {error.strerror}") from error
    except _UNREADABLE as error:
        raise BenchError(
            f"dataset file '{path}' is damaged: {error}. `bench data fetch {path.stem} --replace` "
            "fetches it again, `bench data import` with `--replace` imports it again."
        ) from error


def hash_tensors(path: Path, header: PackedHeader, prefixes: Sequence[bytes]) -> list[str]:
    """Return the sha256, in hex, of each prefix followed by the tensors of the file.

    The file is read once, at about 2 GB/s divided by the number of prefixes.

    Args:
        path: the packed file.
        header: from :func:`read_header`.
        prefixes: what is hashed before the tensors.

    Raises:
        BenchError: the file cannot be read.
    """
    digests = [hashlib.sha256(prefix) for prefix in prefixes]
    try:
        with open_plain(path) as file:
            file.seek(header.data_start)
            while chunk := file.read(_CHUNK):
                for digest in digests:
                    digest.update(chunk)
    except OSError as error:
        raise BenchError(f"dataset file '{path}' cannot be read: {error.strerror}") from error
    return [digest.hexdigest() for digest in digests]


def header_bytes(spec: DatasetSpec, n_train: int, n_test: int) -> bytes:
    """Return the first bytes of a packed file, up to the tensors."""
    meta = json.dumps(
        {"format": FORMAT, "spec": spec.to_json()}, sort_keys=True, separators=(",", ":")
    )
    header = {"__metadata__": {"bench": meta}, **_tensor_table(spec, n_train, n_test)}
    raw = json.dumps(header, separators=(",", ":")).encode("ascii")
    raw += b" " * (-len(raw) % 8)  # aligns the tensors
    return len(raw).to_bytes(8, "little") + raw


def map_part(
    path: Path, header: PackedHeader, part: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Map one part of the file into memory; the pixels are read from disk when they are used.

    Args:
        path: the packed file.
        header: from :func:`read_header`.
        part: ``train`` or ``test``.

    Returns:
        uint8 images ``(N, C, H, W)`` and int64 labels ``(N,)``. Writing to them does not change the
        file (copy on write).
    """
    table = _tensor_table(header.spec, header.n_train, header.n_test)
    images = _map(path, header, table[f"{part}_images"], np.uint8)
    labels = _map(path, header, table[f"{part}_labels"], np.int64)
    return images, np.array(labels)


def _file_parts(spec: DatasetSpec, arrays: Arrays) -> Iterator[bytes | memoryview]:
    yield header_bytes(spec, *arrays.counts)
    for labels in (arrays.y_train, arrays.y_test):
        yield labels.astype("<i8").tobytes()
    for images in (arrays.x_train, arrays.x_test):
        yield channels_first(images).reshape(-1).data


def _tensor_table(spec: DatasetSpec, n_train: int, n_test: int) -> dict[str, dict[str, Any]]:
    """Return dtype, shape and offsets of each tensor, in the form of a safetensors header."""
    shapes: dict[str, tuple[str, list[int]]] = {
        "train_labels": ("I64", [n_train]),
        "test_labels": ("I64", [n_test]),
        "train_images": ("U8", [n_train, *spec.shape]),
        "test_images": ("U8", [n_test, *spec.shape]),
    }
    table, start = {}, 0
    for name, (dtype, shape) in shapes.items():
        end = start + prod(shape) * _ITEM_BYTES[dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        start = end
    return table


def _header_bytes(file: BinaryIO, size: int) -> bytes:
    length = header_length(file, Limit.PACKED_HEADER_BYTES)
    if not 2 <= length <= size - 8:
        raise ValueError(f"{size:,} bytes do not start with the header of a packed dataset")
    return file.read(length)


def _parse(header: Any, data_start: int, size: int) -> PackedHeader:
    meta = parse_json(header["__metadata__"]["bench"])
    if meta["format"] != FORMAT:
        raise ValueError(f"format {meta['format']} is not {FORMAT}, the one this version reads")
    spec = DatasetSpec.from_json(meta["spec"])
    n_train, n_test = (int(header[f"{part}_labels"]["shape"][0]) for part in ("train", "test"))
    if not 1 <= min(n_train, n_test) <= max(n_train, n_test) <= Limit.IMAGES:
        raise ValueError(f"{n_train:,} train and {n_test:,} test images")
    # The file must be laid out exactly as this module writes it, so no offset is read from it.
    table = _tensor_table(spec, n_train, n_test)
    if {k: v for k, v in header.items() if k != "__metadata__"} != table:
        raise ValueError("the tensors are not those of a packed dataset of its spec")
    expected = data_start + max(entry["data_offsets"][1] for entry in table.values())
    if size != expected:
        raise ValueError(f"it has {size:,} bytes, its header announces {expected:,}")
    return PackedHeader(spec, n_train, n_test, data_start, size)


def _map(
    path: Path, header: PackedHeader, entry: Mapping[str, Any], dtype: type[np.generic]
) -> NDArray[Any]:
    offset = header.data_start + entry["data_offsets"][0]
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "c", offset, tuple(entry["shape"]))
