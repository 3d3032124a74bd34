"""What the commands that read a store have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import CommaList, store_option
from bench.support.errors import BenchError
from bench.support.safe_text import printable

if TYPE_CHECKING:
    from pandas import DataFrame

_HELP = {
    "dataset": "Only these datasets.",
    "method": "Only these methods.",
    "ipc": "Only these numbers of images per class.",
    "eval_arch": "Only what these architectures judged.",
    "profile": "Only these profiles (and methods that all profiles share).",
    "protocol": "Only these protocols, with or without their version.",
}


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store`` and the filters; each filter arrives as a list or ``None``."""
    for name, text in reversed(_HELP.items()):
        command = click.option(f"--{name.replace('_', '-')}", type=CommaList(), help=text)(command)
    return store_option(command)


def read_store(
    store: Path, wanted: Mapping[str, Sequence[str] | None]
) -> tuple[DataFrame, DataFrame]:
    """Return the results and the failures that the filters keep.

    Raises:
        BenchError: if there is no store, it holds no result, or the filters leave none.
    """
    from bench.ledger.frames import load_frames
    from bench.report.failures import failure_notes
    from bench.report.filters import select

    frame, failures = load_frames(store, note=lambda line: click.echo(printable(line), err=True))
    if frame.empty:
        missing = "".join(f"\n  {note}" for note in failure_notes(failures))
        raise BenchError(f"no results in '{store}'; run `bench run` first{missing}")
    return select(frame, failures, wanted)
