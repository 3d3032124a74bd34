"""Distilled sets opened from a file, a folder, a hub or a cell of a store."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

from bench.datasets.real_set import RealSet
from bench.distilled.base import DistilledSet
from bench.distilled.io import load
from bench.exchange.findings import Fact
from bench.exchange.generator_pt import as_generator, is_generator
from bench.exchange.given import HUB, Given
from bench.exchange.layouts import read_source, within
from bench.exchange.made_with import in_card, of_bench
from bench.exchange.reading import Reading, read
from bench.exchange.tensor_files import read_pt
from bench.grid.python_terms import in_python_terms
from bench.ledger.cell import is_cell_id
from bench.ledger.short_id import find_id
from bench.ledger.store import DEFAULT_STORE, Store
from bench.support.arguments import check_argument
from bench.support.errors import BenchError

# Sets that a message lists.
_LISTED = 10


def open_sets(
    source: str,
    real: RealSet,
    given: Given | None = None,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
) -> list[Reading]:
    """Read every distilled set of a source, ours or foreign.

    Args:
        source: a file or folder, or ``hf:OWNER/NAME``; see :mod:`bench.exchange.layouts`.
        real: the training part of the dataset that it distils.
        given: what the user says of how it is stored.
        image_column: of a Hugging Face dataset.
        label_column: of a Hugging Face dataset.

    Raises:
        BenchError: there is nothing that can be read, or it does not fit the dataset.
    """
    path = within(Path(source))
    sets = read_source(source if source.startswith(HUB) else str(path), image_column, label_column)
    card = None if source.startswith(HUB) else in_card(path, real.spec)
    return [
        _own(each, path, real, given or Given())
        if isinstance(each, DistilledSet)
        else read(replace(each, made_with=each.made_with or card), real, given)
        for each in sets
    ]


def load_set(
    source: str | Path,
    store: str | Path = DEFAULT_STORE,
    *,
    real: RealSet | None = None,
    experiment: int = 0,
    normalisation: str | None = None,
    zca: bool | None = None,
    learning_rate: float | None = None,
    epochs: int | None = None,
    temperature: float | None = None,
    factor: int | None = None,
    channels: str | None = None,
) -> DistilledSet:
    """Load a distilled set: one that bench wrote, or any that ``bench evaluate`` reads.

    Args:
        source: the id of a cell, or its beginning, from ``bench table --format csv``: that of a
            distillation or of an evaluation; a file, a folder, or ``hf:OWNER/NAME``.
        store: where the cell is.
        real: the training part of the dataset that the set distils. A set that was made elsewhere
            needs it; how such a set is stored is detected, and what looks wrong is a
            :class:`UserWarning`.
        experiment: which set of a file that holds several.
        normalisation: the images' units, as ``--normalisation`` of ``bench evaluate``.
        zca: whether the images are ZCA-whitened.
        learning_rate: to train with.
        epochs: to train for.
        temperature: at which soft labels are matched.
        factor: parts along each side of an image.
        channels: the order of its colours, as ``--channels`` of ``bench evaluate``.

    Raises:
        BenchError: there is no such source, it is damaged, or it does not fit ``real``.

    Examples:
        >>> import bench
        >>> digits = bench.load_dataset("digits")
        >>> made = bench.distil("random", digits.train, ipc=1).distilled
        >>> images, labels = next(iter(made.dataset()))
        >>> images.shape, labels
        (torch.Size([1, 16, 16]), tensor(0))
        >>> theirs = bench.load("res_DM.pt", real=digits.train)  # doctest: +SKIP
    """
    check_argument("source", source, (str, os.PathLike), "a path, or the id of a cell")
    path = within(Path(source))
    if not path.exists() and is_cell_id(str(source)):
        return load(artefact_of(str(source), Store(Path(store))))
    if real is None:
        return load_own(path)
    given = Given(normalisation, zca, learning_rate, factor, temperature, epochs, channels)
    readings = open_sets(str(source), real, given)
    if not 0 <= experiment < len(readings):
        raise BenchError(f"'{source}' holds {len(readings)} sets: there is no {experiment}")
    for text in readings[experiment].warnings:
        warnings.warn(f"'{source}': {in_python_terms(text)}", stacklevel=4)
    return readings[experiment].distilled


def load_own(path: Path) -> DistilledSet:
    """Load a file that bench wrote.

    Raises:
        BenchError: it is damaged, or another program wrote it.
    """
    suffix = path.suffix.lower()
    if suffix == ".safetensors" or not (path.exists() or path.as_posix().startswith(HUB)):
        return load(path)
    if suffix in (".pt", ".pth") and path.is_file():
        value = read_pt(path)
        if is_generator(value):
            return as_generator(value, path)
    raise BenchError(
        f"'{path}' was not written by bench, and does not say which dataset it distils: `bench "
        "evaluate` reads it with --dataset, bench.load with real=bench.load_dataset(NAME).train"
    )


def artefact_of(cell: str, store: Store) -> Path:
    """Return the file of the distilled set that a cell made or evaluated.

    Args:
        cell: its id, or the beginning of it.
        store: where the cell is.

    Raises:
        BenchError: the store has no result of that cell, or several cells whose ids start so.
    """
    store.check_readable()
    cell_id = find_id(cell, store)
    record = None if cell_id is None else store.read(cell_id)
    if record is None:
        raise BenchError(
            f"'{cell}' is neither a file nor a cell with a result in '{store.root}'"
            f"{_candidates(cell, store)}"
        )
    return store.artefact(record.identity.get("distil", record.id))


def _candidates(source: str, store: Store) -> str:
    """Return, in lines, the sets of a method that is called so, or all: what may be meant."""
    sets = [r for r in store.records() if r.kind == "distil" and r.status == "ok"]
    meant = [r for r in sets if str(r.labels["method"]).casefold() == source.casefold()] or sets
    lines = [f"{record.id}  {record.labels['title']}" for record in meant[:_LISTED]]
    if len(meant) > _LISTED:
        lines.append(f"and {len(meant) - _LISTED:,} more, in `bench table --format csv`")
    return "".join(["; it has the sets", *(f"\n  {line}" for line in lines)]) if lines else ""


def _own(distilled: DistilledSet, path: Path, real: RealSet, given: Given) -> Reading:
    """Return a set that bench wrote, which says itself how it is stored."""
    if given != Given():
        raise BenchError(
            f"'{path}' was written by bench and says how it is stored: leave out --normalisation, "
            "--zca, --channels, --lr, --epochs, --temperature and --factor"
        )
    try:
        distilled.check_made_for(real.spec)
    except ValueError as error:
        raise BenchError(f"'{path}' cannot be evaluated: {error}") from error
    facts = [Fact("layout", "bench", "detected"), Fact("kind", distilled.kind, "detected")]
    if distilled.learning_rate is not None:
        facts.append(Fact("learning rate", f"{distilled.learning_rate:g}", "detected"))
    if distilled.zca is not None:
        facts.append(Fact("ZCA", "statistics in the file", "detected"))
    facts.append(Fact("labels", distilled.label_kind, "detected"))
    made_with = of_bench(distilled.provenance.get("cell"), real.spec)
    if made_with is not None:
        facts.append(Fact("made with", str(made_with), "detected"))
    return Reading(distilled, tuple(facts), (), made_with)
