"""Published numbers, read from ``results/published`` with the source of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.untrusted import Limit, read_named

_FILE = "paper_numbers.csv"
_COLUMNS = (
    "method", "dataset", "ipc", "train_arch", "eval_arch", "accuracy", "std", "protocol_note",
    "reported_in", "source",
)  # fmt: skip
_OPTIONAL = ("protocol", "selection", "differs")


@dataclass(frozen=True)
class Published:
    """One number as one source prints it; sources that disagree are separate numbers.

    Attributes:
        method: as the source names it.
        dataset: as the source names it.
        ipc: images per class; ``None`` for the whole dataset.
        train_arch: what the source distilled with, in its words; ``-`` if nothing.
        eval_arch: what the source evaluated with, in its words.
        accuracy: in percent.
        std: in percentage points; ``None`` if the source gives none.
        protocol_note: what is known of how it was measured.
        reported_in: the table or figure.
        source: where that was read.
        protocol: of the evaluation, where it is not the one that the method declares; empty
            otherwise. A name that bench does not have differs from all of its protocols.
        selection: ``test-oracle`` where the number is, or may be, the best of several evaluations
            on the test set; empty where nothing is known.
        sets: over how many distilled sets ``accuracy`` and ``std`` are, where that is documented.
        differs: what else is known to set the number apart from any of ours; empty if nothing is.
    """

    method: str
    dataset: str
    ipc: int | None
    train_arch: str
    eval_arch: str
    accuracy: float
    std: float | None
    protocol_note: str
    reported_in: str
    source: str
    protocol: str = ""
    selection: str = ""
    sets: int | None = None
    differs: str = ""


def load_published(path: Path | None = None) -> list[Published]:
    """Read the published numbers, in the order of the file.

    Args:
        path: another file with the same columns, of which ``protocol``, ``selection``, ``sets``
            and ``differs`` may be absent; by default the file that comes with bench.

    Raises:
        BenchError: if the file is absent or a line of it cannot be read.
    """
    path = path if path is not None else find_published()
    try:
        text = read_named(path, Limit.PUBLISHED_BYTES).decode("utf-8")
        return list(_read(io.StringIO(text, newline=""), path))
    except OSError as error:
        raise BenchError(f"published numbers '{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"published numbers '{path}' are not UTF-8 text") from error
    except csv.Error as error:
        raise BenchError(f"published numbers '{path}' are not CSV: {error}") from error
    except ValueError as error:
        raise BenchError(f"published numbers '{path}' cannot be read: {error}") from error


def find_published() -> Path:
    """Return the file of published numbers: in the checkout, else among the installed files.

    Raises:
        BenchError: if it is in neither.
    """
    checkout = Path(__file__).parents[3] / "results" / "published" / _FILE
    if checkout.is_file():
        return checkout
    # An environment can see several: an editable install beside a wheel, for instance.
    for one in distributions(name="distillation-bench"):
        for file in one.files or ():
            path = Path(str(file.locate())).resolve()
            if path.name == _FILE and path.is_file():
                return path
    raise BenchError(f"no {_FILE} in {checkout.parent}: name one with --published-file")


def _read(lines: Iterable[str], path: Path) -> Iterator[Published]:
    reader = csv.DictReader(lines)
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BenchError(f"published numbers '{path}' lack the columns {', '.join(missing)}")
    for line in reader:
        try:
            yield _parse(line)
        except (TypeError, ValueError) as error:
            where = f"published numbers '{path}', line {reader.line_num}"
            raise BenchError(f"{where}: {error}") from None


def _parse(line: Mapping[str, str]) -> Published:
    if any(line[name] is None for name in _COLUMNS):
        raise ValueError(f"expected {len(_COLUMNS)} columns")
    names = [name for name in _COLUMNS if name not in ("ipc", "accuracy", "std")]
    texts = {name: printable(line.get(name) or "") for name in (*names, *_OPTIONAL)}
    accuracy = float(line["accuracy"])
    if not 0 <= accuracy <= 100:
        raise ValueError(f"accuracy {line['accuracy']} is no percentage")
    std = float(line["std"]) if line["std"] else None
    if std is not None and not 0 <= std <= 100:
        raise ValueError(f"std {line['std']} is no number of percentage points")
    ipc = None if line["ipc"] == "full" else int(line["ipc"])
    if ipc is not None and not 1 <= ipc <= Limit.IPC:
        raise ValueError(f"ipc {line['ipc']:.20} is no number of images")
    sets = int(line.get("sets") or 0)
    if not 0 <= sets <= Limit.IPC:
        raise ValueError(f"sets {line['sets']:.20} is no number of distilled sets")
    return Published(
        ipc=ipc,
        accuracy=accuracy,
        std=std,
        sets=sets or None,
        **texts,
    )
