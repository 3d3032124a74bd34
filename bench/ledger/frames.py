"""The rows of a store as pandas frames, for notebooks; reports work on the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.record_rows import load_rows
from bench.ledger.rows import Evaluation, Failure

if TYPE_CHECKING:
    import pandas as pd

# What reports need beside the columns.
_NO_COLUMNS = ("presentation", "num_classes", "newest_version", "distil_device")
FRAME_COLUMNS = tuple(f.name for f in fields(Evaluation) if f.name not in _NO_COLUMNS)
FAILURE_COLUMNS = tuple(f.name for f in fields(Failure))
# By the annotation of a field; all else stays a Python object.
_DTYPES = {"int": "int64", "float": "float64", "int | None": "Int64"}


def load_frames(
    root: Path,
    ids: Iterable[str] | None = None,
    note: Callable[[str], None] | None = None,
    *,
    unfinished: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a store as frames; the arguments are those of :func:`load_rows`.

    Returns:
        The successful evaluations (columns :data:`FRAME_COLUMNS`; accuracies in percent, one per
        network) and the cells that failed or were skipped (columns :data:`FAILURE_COLUMNS`).

    Raises:
        BenchError: if there is no store at ``root`` or it is not readable.
    """
    rows = load_rows(root, ids, note, unfinished=unfinished)
    return evaluation_frame(rows.evaluations), failure_frame(rows.failures)


def load_frame(root: Path) -> pd.DataFrame:
    """Return the successful evaluations of a store; see :func:`load_frames`."""
    return load_frames(root)[0]


def load_failures(root: Path) -> pd.DataFrame:
    """Return the failed and skipped cells of a store; see :func:`load_frames`."""
    return load_frames(root)[1]


def evaluation_frame(rows: Sequence[Evaluation]) -> pd.DataFrame:
    """Return evaluations as a frame with the columns :data:`FRAME_COLUMNS`."""
    return _frame(Evaluation, FRAME_COLUMNS, rows)


def failure_frame(rows: Sequence[Failure]) -> pd.DataFrame:
    """Return failures as a frame with the columns :data:`FAILURE_COLUMNS`."""
    return _frame(Failure, FAILURE_COLUMNS, rows)


def _frame(
    kind: type[Evaluation | Failure],
    columns: Sequence[str],
    rows: Sequence[Evaluation] | Sequence[Failure],
) -> pd.DataFrame:
    """Build a frame whose column types do not depend on its rows."""
    import pandas as pd

    values = {name: [getattr(row, name) for row in rows] for name in columns}
    frame = pd.DataFrame(values, columns=list(columns), dtype=object)
    types = {f.name: str(f.type) for f in fields(kind) if f.name in columns}
    dtypes = {name: _DTYPES[text] for name, text in types.items() if text in _DTYPES}
    return frame.astype(dtypes)
