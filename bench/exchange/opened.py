"""Distilled sets opened from a file, a folder, a hub or a cell of a store."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.real_set import RealSet
from bench.distilled.base import DistilledSet
from bench.distilled.io import is_distilled_file, load
from bench.exchange.findings import Fact
from bench.exchange.given import HUB, Given
from bench.exchange.layouts import read_source, within
from bench.exchange.reading import Reading, read
from bench.ledger.cell import is_cell_id
from bench.ledger.store import DEFAULT_STORE, Store
from bench.support.errors import BenchError


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
    if is_distilled_file(path):
        return [_own(path, real, given or Given())]
    raws = read_source(source if source.startswith(HUB) else str(path), image_column, label_column)
    return [read(raw, real, given) for raw in raws]


def load_set(source: str | Path, store: str | Path = DEFAULT_STORE) -> DistilledSet:
    """Load a distilled set that bench wrote.

    Args:
        source: a ``.safetensors`` file, the folder that it is in, or the id of a cell, from
            ``bench table --format csv``: that of a distillation or of an evaluation.
        store: where the cell is.

    Raises:
        BenchError: there is no such file or cell, or it is damaged.

    Examples:
        >>> import bench
        >>> real = bench.load_dataset("digits")
        >>> made = bench.distil("random", real.train, ipc=1).distilled
        >>> images, labels = next(iter(made.dataset()))
        >>> images.shape, labels
        (torch.Size([1, 8, 8]), tensor(0))
    """
    path = within(Path(source))
    if path.exists() or not is_cell_id(str(source)):
        return load(path)
    return load(artefact_of(str(source), Store(Path(store))))


def artefact_of(cell_id: str, store: Store) -> Path:
    """Return the file of the distilled set that a cell made or evaluated.

    Raises:
        BenchError: the store has no result of that cell.
    """
    store.check_readable()
    record = store.read(cell_id)
    if record is None:
        raise BenchError(
            f"'{cell_id}' is neither a file nor a cell with a result in '{store.root}'"
        )
    return store.artefact(record.identity.get("distil", cell_id))


def _own(path: Path, real: RealSet, given: Given) -> Reading:
    """Open a set that bench wrote, which says itself how it is stored."""
    if given != Given():
        raise BenchError(
            f"'{path}' was written by bench and says how it is stored: leave out --normalisation, "
            "--zca, --lr, --epochs, --temperature and --factor"
        )
    distilled = load(path, real.device)
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
    return Reading(distilled, tuple(facts), ())
