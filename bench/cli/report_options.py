"""Options of the commands that read a store, and the rows that they select."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.completion import completion
from bench.cli.options import CommaList, store_option
from bench.support.errors import BenchError
from bench.support.safe_text import printable

if TYPE_CHECKING:
    from bench.ledger.rows import Rows

_HELP = {
    "dataset": "Only these datasets.",
    "method": "Only these methods.",
    "ipc": "Only these numbers of images per class.",
    "eval_arch": "Only results evaluated with these architectures.",
    "profile": "Only these profiles (and methods that all profiles share).",
    "protocol": "Only these protocols, with or without their version.",
    "stored_as": "Only results of images that were stored so: made, float16 or uint8.",
    "method_version": "Only these versions of methods; newest: of each method the newest that the "
    "other filters select.",
}


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store`` and the filters; each filter arrives as a list or ``None``."""
    for name, text in reversed(_HELP.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, type=CommaList(), help=text, shell_complete=completion(name))(
            command
        )
    return store_option(command)


def read_store(
    store: Path, filters: Mapping[str, Sequence[str] | None], *, unfinished: bool = False
) -> Rows:
    """Return the evaluations and the failures that the filters select.

    Args:
        store: the store's folder.
        filters: see :func:`bench.report.filters.select`.
        unfinished: as of :func:`bench.ledger.record_rows.load_rows`.

    Raises:
        BenchError: if there is no store, it holds no result, or the filters select none.
    """
    from bench.ledger.record_rows import load_rows
    from bench.report.filters import select
    from bench.report.tables import failure_notes

    def note(line: str) -> None:
        click.echo(printable(line), err=True)

    rows = load_rows(store, note=note, unfinished=unfinished)
    if not rows.evaluations:
        missing = "".join(f"\n  {note}" for note in failure_notes(rows.failures))
        raise BenchError(f"no results in '{store}'; run `bench run` first{missing}")
    return select(rows, filters)
