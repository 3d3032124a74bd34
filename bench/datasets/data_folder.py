"""The data folder: paths and descriptions of its packed files, without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.checks import count_classes, is_name
from bench.datasets.checksum_file import checksum
from bench.datasets.packed import map_part, read_header
from bench.datasets.source import PARTS
from bench.datasets.spec import DatasetSpec
from bench.registry.registry import DATASETS
from bench.support.errors import BenchError, UnknownNameError

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class DatasetInfo:
    """A packed dataset, without its pixels.

    Attributes:
        spec: classes, shape, normalisation, note.
        sha256: that of the packed file, in hex.
        n_train: number of training images.
        n_test: number of test images.
        class_counts: number of training images of each class.
        path: the packed file.
        verified: whether the sha256 is the one recorded when the file was written; the file is
            hashed for it only if its size or time has changed since.
        content: the identity of the data, see :mod:`bench.datasets.content`; ``None`` where the
            file was not read for it.
    """

    spec: DatasetSpec
    sha256: str
    n_train: int
    n_test: int
    class_counts: tuple[int, ...]
    path: Path
    verified: bool
    content: str | None = None


@dataclass(frozen=True)
class Listed:
    """One line of ``bench data list``.

    Attributes:
        name: the dataset.
        origin: the distribution that registered it, or ``imported``.
        spec: from the packed file, else as registered; ``None`` if neither can be read.
        info: describes the packed file; ``None`` if there is none or it cannot be used.
        problem: why an existing file cannot be used, or ``None``.
    """

    name: str
    origin: str
    spec: DatasetSpec | None
    info: DatasetInfo | None
    problem: str | None

    @property
    def state(self) -> str:
        """Return whether the dataset can be used: ``ready``, ``not fetched``, ``unusable``, ..."""
        if self.problem is not None:
            return "unusable"
        if self.info is None:
            return "not fetched"
        return "ready" if self.info.verified else "ready, unverified"


def data_dir(explicit: Path | None = None) -> Path:
    """Return the data folder: ``explicit``, else ``BENCH_DATA``, else one in the user's home.

    Raises:
        BenchError: the folder is in a home that this user does not have.
    """
    from_environment = os.environ.get("BENCH_DATA")
    try:
        if explicit is not None:
            return explicit.expanduser()
        if from_environment:
            return Path(from_environment).expanduser()
        from platformdirs import user_data_path

        return user_data_path("bench")
    except RuntimeError as error:
        named = explicit or from_environment
        place = f"'{named}'" if named else "of this user"
        raise BenchError(
            f"the data folder {place} cannot be found, as there "
            "is no home folder: name one with --data-dir or BENCH_DATA"
        ) from error


def packed_path(name: str, folder: Path) -> Path:
    """Return the path of a dataset's packed file, whether or not it exists."""
    return folder / f"{name}{SUFFIX}"


def packed_names(folder: Path) -> list[str]:
    """Return the name of every packed file in the folder, sorted."""
    names = (path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    return sorted(filter(is_name, names))


def known_names(folder: Path) -> list[str]:
    """Return the name of every dataset that is registered or packed, sorted."""
    return sorted({*DATASETS.names(), *packed_names(folder)})


def unknown_dataset(name: str, folder: Path) -> UnknownNameError:
    """Return the error for a name that no dataset has; it says how to add one."""
    error = UnknownNameError("dataset", name, known_names(folder))
    error.args = (f"{error} Add your own with `bench data import NAME FILE`.",)
    return error


def info(name: str, folder: Path, *, rehash: bool = False) -> DatasetInfo | None:
    """Return the description of a packed dataset, or ``None`` if it is not in the folder.

    Args:
        name: the dataset.
        folder: the data folder.
        rehash: hash the whole file, even if its size and time have not changed.

    Raises:
        UnknownNameError: the name is not one that a dataset can have.
        BenchError: the file exists but is damaged.
    """
    if not is_name(name):
        raise unknown_dataset(name, folder)
    path = packed_path(name, folder)
    if not path.exists():
        return None
    header = read_header(path)
    if header.spec.name != name:
        raise BenchError(f"dataset file '{path}' holds '{header.spec.name}': it was renamed")
    recorded = checksum(path, rehash=rehash)
    counts = {
        part: count_classes(
            map_part(path, header, part)[1], header.spec, f"{part} part of '{path}'"
        )
        for part in PARTS
    }
    return DatasetInfo(
        spec=header.spec,
        sha256=recorded.sha256,
        n_train=header.n_train,
        n_test=header.n_test,
        class_counts=counts["train"],
        path=path,
        verified=recorded.verified,
    )


def list_datasets(folder: Path) -> list[Listed]:
    """Return every registered or packed dataset, sorted by name, damaged files included."""
    return [_listed(name, folder) for name in known_names(folder)]


def _listed(name: str, folder: Path) -> Listed:
    entry = DATASETS.entries().get(name)
    origin = entry.origin if entry is not None else "imported"
    spec: DatasetSpec | None = None
    try:
        spec = entry.load().spec if entry is not None else None
        packed = info(name, folder)
    except BenchError as error:
        return Listed(name, origin, spec, None, str(error))
    return Listed(name, origin, packed.spec if packed is not None else spec, packed, None)
