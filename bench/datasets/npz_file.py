"""Reading of arrays from an ``.npz``, and of a dataset in one; never unpickles."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bench.datasets.checks import check_images, check_labels
from bench.datasets.source import Arrays
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, most_unpacked, open_plain

KEYS = ("x_train", "y_train", "x_test", "y_test")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path) -> Arrays:
    """Read the four arrays, after checking their declared sizes, types and shapes.

    Args:
        path: an ``.npz`` as ``numpy.savez`` or ``numpy.savez_compressed`` writes it.

    Raises:
        BenchError: the archive cannot be read, or one of its arrays is missing, truncated, too
            large, of a wrong dtype or shape, or of Python objects.
    """
    arrays = Arrays(**read_arrays(path, KEYS))
    for part in ("train", "test"):
        check_images(arrays.images(part), f"x_{part}")
        check_labels(arrays.labels(part), len(arrays.images(part)), f"y_{part}")
    return arrays


def read_arrays(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of an ``.npz`` by name, after checking their declared sizes, types and shapes.

    Raises:
        BenchError: the archive cannot be read, or an array is missing, truncated, too large, or of
            Python objects.
    """
    with _reading(path) as (file, archive):
        members = _members(archive, path, keys)
        _check_sizes(members, os.fstat(file.fileno()).st_size, path)
        for key, info in members.items():
            _check_declared(archive, info, f"{key} in '{path}'")
        return {key: _read(archive, info) for key, info in members.items()}


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in an ``.npz``, in order.

    Raises:
        BenchError: the archive cannot be read.
    """
    with _reading(path) as (_, archive):
        names = [info.filename for info in archive.infolist()]
    return [name.removesuffix(".npy") for name in dict.fromkeys(names) if name.endswith(".npy")]


@contextmanager
def _reading(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    """Open an archive; every error of it becomes a ``BenchError``."""
    try:
        with open_plain(path) as file, zipfile.ZipFile(file) as archive:
            yield file, archive
    except OSError as error:
        raise BenchError(f"'{path}' cannot be read: {error.strerror or error}") from error
    except BenchError:
        raise
    # On damaged archives, zipfile and numpy raise exceptions of many types.
    except Exception as error:
        raise BenchError(f"'{path}' is not a whole .npz file: {error}") from error


def _members(
    archive: zipfile.ZipFile, path: Path, keys: Sequence[str]
) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's entry of each array."""
    entries = {info.filename: info for info in archive.infolist()}
    missing = [key for key in keys if f"{key}.npy" not in entries]
    if missing:
        names = ", ".join(sorted(n.removesuffix(".npy") for n in entries)) or "nothing"
        raise BenchError(
            f"'{path}' lacks {', '.join(missing)}: expected {', '.join(keys)}, found {names[:200]}"
        )
    return {key: entries[f"{key}.npy"] for key in keys}


def _check_sizes(members: Mapping[str, zipfile.ZipInfo], file_bytes: int, path: Path) -> None:
    """Raise ``BenchError`` if the archive's directory announces too many bytes.

    Python's zipfile never unpacks more of an entry than its directory announces.
    """
    total = sum(info.file_size for info in members.values())
    most = min(Limit.IMPORT_BYTES, most_unpacked(file_bytes))
    if total > most:
        raise BenchError(
            f"'{path}' would unpack from {file_bytes:,} to {total:,} bytes: at most {most:,} are "
            "allowed"
        )
    for info in members.values():
        if info.compress_type not in _METHODS:
            raise BenchError(f"'{path}' is packed in a way that numpy does not use")


def _check_declared(archive: zipfile.ZipFile, info: zipfile.ZipInfo, label: str) -> None:
    """Check a member by its header alone, so that nothing large is allocated for a hostile one."""
    with archive.open(info) as member:
        declared, header = _declared_bytes(member, label)
    if declared + header != info.file_size:
        raise BenchError(
            f"{label} is cut short or damaged: its header announces {declared:,} bytes, the "
            f"archive holds {info.file_size - header:,}"
        )


def _declared_bytes(member: IO[bytes], label: str) -> tuple[int, int]:
    """Return the bytes that an array's header announces, and the bytes of that header."""
    version = npy.read_magic(member)
    if version not in _HEADER_READERS:
        raise BenchError(f"{label} is in npy format {version}: expected 1.0 or 2.0")
    shape, _, dtype = _HEADER_READERS[version](member)
    _refuse_objects(dtype, label)
    if min(shape, default=0) < 0:
        raise BenchError(f"{label} has shape {shape}")
    return prod(shape) * dtype.itemsize, member.tell()


def _refuse_objects(dtype: np.dtype[Any], label: str) -> None:
    if dtype.hasobject:
        raise BenchError(
            f"{label} holds Python objects: save plain arrays (uint8 images, integer labels); "
            "pickled data is never loaded"
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Read the member that was checked, not one by name: an archive can hold a name twice."""
    with archive.open(info) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        member.read()  # zipfile compares the checksum only at the end
    return array
