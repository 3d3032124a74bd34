"""The packed file: a whole dataset as uint8 in one safetensors file, read by memory map.

The bytes depend on pixels, labels and spec alone, not on the version of a library, because the
file's sha256 is part of every result's identity. Hence the header is written here: labels first
(so that int64 is aligned), then images, one metadata key with canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.datasets.checks import check_spec
from bench.datasets.source import Arrays, channels_first
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError
from bench.support.files import open_plain
from bench.support.json_files import parse_json

FORMAT = 1
_MAX_HEADER = 8 * 2**20
# Labels are held in memory, eight bytes each; ImageNet-21k has a ninth of this.
_MOST_IMAGES = 2**27
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
_ITEM_BYTES = {"I64": 8, "U8": 1}


@dataclass(frozen=True)
class PackedHeader:
    """What a packed file says of itself.

    Attributes:
        spec: the dataset.
        n_train: images in the train part.
        n_test: images in the test part.
        data_start: the byte at which the first tensor begins.
        size: bytes of the whole file.
    """

    spec: DatasetSpec
    n_train: int
    n_test: int
    data_start: int
    size: int


def write_packed(path: Path, spec: DatasetSpec, arrays: Arrays) -> str:
    """Write a dataset that has passed its checks; the file appears whole or not at all.

    Args:
        path: where to; an older file is replaced.
        spec: goes into the header.
        arrays: the pixels and labels.

    Returns:
        the file's sha256, in hex.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    digest = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in _file_parts(spec, arrays):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def read_header(path: Path) -> PackedHeader:
    """Read and check a packed file's header, without its pixels.

    Raises:
        BenchError: the file cannot be read, is damaged, cut short or from a newer version.
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
            f"dataset file '{path}' is damaged: {error}. Fetch or import it again with --replace."
        ) from error


def map_part(
    path: Path, header: PackedHeader, part: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Map one part of the file into memory; pages are read when they are touched.

    Args:
        path: the packed file.
        header: from :func:`read_header`.
        part: ``train`` or ``test``.

    Returns:
        uint8 images ``(N, C, H, W)`` and int64 labels ``(N,)``. Writing to them never reaches the
        file (copy on write).
    """
    table = _tensor_table(header.spec, header.n_train, header.n_test)
    images = _map(path, header, table[f"{part}_images"], np.uint8)
    labels = _map(path, header, table[f"{part}_labels"], np.int64)
    return images, np.array(labels)


def _file_parts(spec: DatasetSpec, arrays: Arrays) -> Iterator[bytes | memoryview]:
    meta = json.dumps(
        {"format": FORMAT, "spec": spec.to_json()}, sort_keys=True, separators=(",", ":")
    )
    header = {"__metadata__": {"bench": meta}, **_tensor_table(spec, *arrays.counts)}
    raw = json.dumps(header, separators=(",", ":")).encode("ascii")
    raw += b" " * (-len(raw) % 8)
    yield len(raw).to_bytes(8, "little") + raw
    for labels in (arrays.y_train, arrays.y_test):
        yield labels.astype("<i8").tobytes()
    for images in (arrays.x_train, arrays.x_test):
        yield channels_first(images).reshape(-1).data


def _tensor_table(spec: DatasetSpec, n_train: int, n_test: int) -> dict[str, dict[str, Any]]:
    """Return where each tensor lies, as safetensors writes it."""
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
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8):
        raise ValueError(f"{size:,} bytes do not start with the header of a packed dataset")
    return file.read(length)


def _parse(header: Any, data_start: int, size: int) -> PackedHeader:
    meta = parse_json(header["__metadata__"]["bench"])
    if meta["format"] != FORMAT:
        raise ValueError(f"format {meta['format']} is not {FORMAT}, the one this version reads")
    spec = DatasetSpec.from_json(meta["spec"])
    check_spec(spec)
    n_train, n_test = (int(header[f"{part}_labels"]["shape"][0]) for part in ("train", "test"))
    if not 1 <= min(n_train, n_test) <= max(n_train, n_test) <= _MOST_IMAGES:
        raise ValueError(f"{n_train:,} train and {n_test:,} test images")
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
