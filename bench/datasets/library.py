"""Datasets by name: fetch, import, open and verify them; :mod:`.data_folder` lists them.

Only :func:`open_split` needs torch (and fetching a torchvision dataset).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.checks import check_arrays, check_name
from bench.datasets.checksum_file import record_checksum, recorded_source
from bench.datasets.content import content_sha256
from bench.datasets.data_folder import DatasetInfo, info, packed_path, unknown_dataset
from bench.datasets.importers import derive_spec, match_spec, read_import
from bench.datasets.packed import map_part, read_header, write_packed
from bench.datasets.source import Arrays, DatasetSource, Progress, no_progress
from bench.datasets.spec import DatasetSpec
from bench.registry.registry import DATASETS
from bench.support.errors import BenchError
from bench.support.untrusted import Limit

if TYPE_CHECKING:
    import torch

    from bench.datasets.real_set import RealSet


def ensure(
    name: str,
    folder: Path,
    progress: Progress = no_progress,
    *,
    keep: bool = False,
    report: Callable[[str], object] = lambda _: None,
) -> DatasetInfo:
    """Return the description of a packed dataset with its content, fetching it if it is missing.

    The whole file is read and checked, once per process. A dataset of a plugin is fetched again if
    the plugin's code has changed since.

    Args:
        name: the dataset.
        folder: the data folder.
        progress: called while bytes arrive.
        keep: use the file of a plugin whose code has changed.
        report: receives a line if the code of a plugin has changed.

    Raises:
        UnknownNameError: the name is neither registered nor imported.
        BenchError: it cannot be fetched, or its file is damaged.
    """
    packed = info(name, folder) or fetch(name, folder, progress)
    now, then = _source(name), recorded_source(packed.path)
    if None not in (now, then) and now != then:
        what = "kept" if keep else "fetched again; --keep-cached keeps it"
        report(f"the dataset '{name}' was packed by other code (source {then}, now {now}): {what}")
        packed = packed if keep else fetch(name, folder, progress, replace=True)
    return replace(packed, content=content_sha256(packed.path))


def fetch(
    name: str, folder: Path, progress: Progress = no_progress, *, replace: bool = False
) -> DatasetInfo:
    """Download, check and pack a registered dataset, unless it is in the folder already.

    Args:
        name: a registered dataset.
        folder: the data folder; created if missing.
        progress: called while bytes arrive.
        replace: fetch even if the folder has a file.

    Raises:
        UnknownNameError: the name is not registered.
        BenchError: the download failed, or its content is not the expected one.
    """
    if name not in DATASETS.names():
        raise unknown_dataset(name, folder)
    if not replace and (present := info(name, folder)) is not None:
        return present
    source: DatasetSource = DATASETS.get(name)()
    # The packed file is named after the spec.
    if source.spec.name != name:
        raise BenchError(f"dataset '{name}': its spec is named '{source.spec.name}'")
    with _writing(folder), tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as work:
        arrays = _load(source, Path(work), progress)
        return _pack(source.spec, arrays, folder, _source(name))


def import_file(
    name: str,
    path: Path,
    folder: Path,
    *,
    note: str = "",
    flip: bool | None = None,
    replace: bool = False,
    progress: Progress = no_progress,
    report: Callable[[str], object] = lambda _: None,
) -> DatasetInfo:
    """Pack a dataset from an ``.npz`` or a folder of images.

    A registered name keeps its classes, shape, normalisation and flip; those of a new name come
    from the data.

    Args:
        name: registered or new.
        path: the file or folder.
        folder: the data folder; created if missing.
        note: what a reader must know about these pixels ("went through JPEG").
        flip: for a new name, whether a mirrored image keeps its label; ``None`` means no.
        replace: overwrite a dataset of that name.
        progress: called as images are read.
        report: receives, in lines, what was converted and what was not read.

    Raises:
        BenchError: the name is not allowed or is taken, or the file does not hold a dataset.
    """
    check_name(name)
    if len(note) > Limit.NOTE_LETTERS:
        raise BenchError(
            f"the note has {len(note):,} letters: at most {Limit.NOTE_LETTERS:,} are allowed"
        )
    if packed_path(name, folder).exists() and not replace:
        raise BenchError(
            f"dataset '{name}' is already in '{folder}': add --replace to overwrite it"
        )
    source = DATASETS.get(name) if name in DATASETS.names() else None
    if source is not None and flip is not None and flip != source.spec.flip:
        raise BenchError(
            f"dataset '{name}' is {'' if source.spec.flip else 'not '}flipped in the literature: "
            f"--flip and --no-flip are for new names"
        )
    known = source.spec if source is not None else None
    arrays, class_names = read_import(path, known, progress, report)
    if source is not None:
        spec = match_spec(source.spec, source.counts, arrays, note)
    else:
        spec = derive_spec(name, arrays, class_names, bool(flip), note)
    with _writing(folder):
        return _pack(spec, arrays, folder)


def open_split(name: str, part: str, folder: Path, device: torch.device | str) -> RealSet:
    """Open one part of a packed dataset on a device.

    The file is hashed first, once per process. On the CPU the pixels stay memory-mapped, so that
    processes with the same file share them.

    Args:
        name: the dataset.
        part: ``train`` or ``test``.
        folder: the data folder.
        device: where to put the pixels.

    Raises:
        BenchError: the dataset is missing or damaged.
    """
    import torch

    from bench.datasets.real_set import RealSet

    packed = info(name, folder)
    if packed is None:
        raise _missing(name, folder)
    content = content_sha256(packed.path)
    images, labels = map_part(packed.path, read_header(packed.path), part)
    return RealSet(
        spec=packed.spec,
        images=torch.from_numpy(images).to(device),
        labels=torch.from_numpy(labels).to(device),
        sha256=content,
    )


def verify(name: str, folder: Path) -> DatasetInfo:
    """Hash a packed dataset as a whole and compare its sha256 with the recorded one.

    Raises:
        BenchError: the dataset is missing or damaged.
    """
    packed = info(name, folder, rehash=True)
    if packed is None:
        raise _missing(name, folder)
    return packed


def check_packed(names: Iterable[str], folder: Path) -> None:
    """Refuse names of which the data folder has no dataset.

    Raises:
        BenchError: naming the first, and how to get it.
    """
    for name in names:
        if not packed_path(name, folder).exists():
            raise _missing(name, folder)


def _missing(name: str, folder: Path) -> BenchError:
    if name not in DATASETS.names():
        return unknown_dataset(name, folder)
    return BenchError(f"dataset '{name}' is not in '{folder}': run `bench data fetch {name}`")


def _load(source: DatasetSource, workdir: Path, progress: Progress) -> Arrays:
    name = source.spec.name
    try:
        arrays = source.load(workdir, progress)
    except Exception as error:  # sources of plugins can raise anything
        raise BenchError(
            f"dataset '{name}' could not be fetched: {error}. Without a network, import it from a "
            f"file instead: bench data import {name} FILE.npz"
        ) from error
    if source.counts is not None and arrays.counts != source.counts:
        came, expected = (f"{n:,} train and {m:,} test" for n, m in (arrays.counts, source.counts))
        raise BenchError(f"dataset '{name}' came with {came} images, not {expected}")
    return arrays


def _source(name: str) -> str | None:
    """Return the source of the plugin that fetches a dataset, if one does."""
    source = DATASETS.source(name) if name in DATASETS.names() else None
    return None if source is None else source.sha256


def _pack(
    spec: DatasetSpec, arrays: Arrays, folder: Path, source: str | None = None
) -> DatasetInfo:
    check_arrays(arrays, spec)
    path = packed_path(spec.name, folder)
    record_checksum(path, write_packed(path, spec, arrays), source)
    return verify(spec.name, folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise BenchError(f"cannot write to the data folder '{folder}': {error}") from error
