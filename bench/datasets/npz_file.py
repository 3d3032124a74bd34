"""Reads a dataset from an ``.npz``: x_train, y_train, x_test, y_test; never unpickles anything."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from bench.datasets.checks import check_images, check_labels
from bench.datasets.source import Arrays
from bench.errors import BenchError

KEYS = ("x_train", "y_train", "x_test", "y_test")
MAX_BYTES = 8 * 2**30

_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> Arrays:
    """Read the four arrays, after their declared shapes were found sane.

    Args:
        path: an ``.npz`` as ``numpy.savez`` or ``numpy.savez_compressed`` writes it.

    Raises:
        BenchError: no such archive, an array missing, of objects, cut short, too large, of a wrong
            dtype or shape.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_declared(archive, path)
        with np.load(path, allow_pickle=False) as file:
            arrays = Arrays(**{key: file[key] for key in KEYS})
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise BenchError(f"'{path}' is not a whole .npz file: {error}") from error
    except OSError as error:
        raise BenchError(f"'{path}' cannot be read: {error.strerror or error}") from error
    for part in ("train", "test"):
        check_images(arrays.images(part), f"x_{part}")
        check_labels(arrays.labels(part), len(arrays.images(part)), f"y_{part}")
    return arrays


def _check_declared(archive: zipfile.ZipFile, path: Path) -> None:
    """Look at the members' headers only, so that a hostile archive allocates nothing."""
    members = {info.filename: info for info in archive.infolist()}
    missing = [key for key in KEYS if f"{key}.npy" not in members]
    if missing:
        found = ", ".join(sorted(n.removesuffix(".npy") for n in members)) or "nothing"
        raise BenchError(
            f"'{path}' lacks {', '.join(missing)}: expected {', '.join(KEYS)}, found {found[:200]}"
        )
    total = 0
    for key in KEYS:
        info = members[f"{key}.npy"]
        with archive.open(info) as member:
            declared, header = _declared_bytes(member, f"{key} in '{path}'")
        if declared + header != info.file_size:
            raise BenchError(
                f"{key} in '{path}' is cut short or damaged: its header announces {declared:,} "
                f"bytes, the archive holds {info.file_size - header:,}"
            )
        total += declared
    if total > MAX_BYTES:
        raise BenchError(
            f"'{path}' would unpack to {total:,} bytes: at most {MAX_BYTES:,} are allowed"
        )


def _declared_bytes(member: IO[bytes], label: str) -> tuple[int, int]:
    """Return the bytes that an array's header announces, and the bytes of that header."""
    version = npy.read_magic(member)
    if version not in _HEADER_READERS:
        raise BenchError(f"{label} is in npy format {version}: expected 1.0 or 2.0")
    shape, _, dtype = _HEADER_READERS[version](member)
    _refuse_objects(dtype, label)
    return prod(shape) * dtype.itemsize, member.tell()


def _refuse_objects(dtype: np.dtype[Any], label: str) -> None:
    if dtype.hasobject:
        raise BenchError(
            f"{label} holds Python objects: save plain arrays (uint8 images, integer labels); "
            "pickled data is never loaded"
        )
