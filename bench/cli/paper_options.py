"""Options of the commands that print tables in the form of papers, and where the text goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import CommaList
from bench.cli.output import writes_to_terminal
from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    from bench.report.paper.layout import Layout
    from bench.report.paper.published import PublishedNumbers

PAPER_FORMATS = ("md", "csv", "latex", "html", "json")
PAPER_LAYOUTS = ("paper", "paper-transposed")
_COLUMNS = {"dataset": "dataset", "ipc": "ipc", "eval-arch": "eval_arch"}


def paper_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of :func:`read_layout`."""
    for option in (
        click.option("--columns", type=CommaList(), metavar="LIST", help="Paper layouts: what the "
                     "columns are, outermost first: dataset,ipc or dataset,ipc,eval-arch."),
        click.option("--beside", is_flag=True, help="Paper layouts: published numbers beside "
                     "ours, not on a line of their own."),
        click.option("--source", "sources", type=CommaList(), metavar="KEYS", help="Paper layouts: "
                     "the published sources to prefer; `bench published --sources` lists keys."),
        click.option("--no-ratio", is_flag=True, help="Paper layouts: without the line that says "
                     "how many of the training images the IPC are."),
        click.option("--caption", default="", help="Paper layouts: a caption of your own."),
    ):  # fmt: skip
        command = option(command)
    return command


def take_paper_options(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of :func:`paper_options` from those of a command, and return them."""
    return {name: options.pop(name) for name in _NAMES}


_NAMES = ("columns", "beside", "sources", "no_ratio", "caption")


def read_layout(
    name: str, options: Mapping[str, Any], filters: Mapping[str, Sequence[str] | None]
) -> Layout:
    """Return the layout that options describe; the filters name what comes first.

    Raises:
        BenchError: for a column that does not exist, or no dataset or IPC among the columns.
    """
    from bench.report.paper.layout import Layout

    columns = options["columns"] or ["dataset", "ipc"]
    for column in columns:
        if column not in _COLUMNS:
            raise UnknownNameError("column in --columns", column, _COLUMNS)
    if not {"dataset", "ipc"} <= set(columns) or len(set(columns)) < len(columns):
        raise BenchError(
            f"--columns {','.join(columns)} is not allowed: it must name dataset and ipc, once each"
        )
    return Layout(
        caption=options["caption"],
        methods=filters.get("method") or (),
        datasets=filters.get("dataset") or (),
        ipcs=[int(ipc) for ipc in filters.get("ipc") or () if ipc.isdecimal()],
        eval_archs=filters.get("eval_arch") or (),
        columns=[_COLUMNS[column] for column in columns],
        transposed=name == "paper-transposed",
        placement="beside" if options["beside"] else "under",
        ratio=not options["no_ratio"],
    )


def read_sources(keys: Sequence[str] | None, path: Path | None) -> PublishedNumbers:
    """Return published numbers with the sources that come first.

    Args:
        keys: of the sources; ``None`` prefers none.
        path: a file of numbers; by default the one that comes with bench.

    Raises:
        BenchError: for an unknown source, or a file that cannot be read.
    """
    from bench.report.paper.published import PublishedNumbers
    from bench.report.published.read import load_published
    from bench.report.published.sources import load_sources

    known = [source.key for source in load_sources()]
    for key in keys or ():
        if key not in known:
            raise UnknownNameError("published source", key, known)
    return PublishedNumbers(load_published(path), keys or ())


def to_screen(format_: str | None, output: Path | None) -> bool:
    """Return whether a report is for a terminal: nothing else was asked for, and one is there."""
    return format_ is None and output is None and writes_to_terminal()


def write_text(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file and say so.

    Raises:
        CannotWriteError: the file cannot be written.
    """
    if output is None:
        click.echo(text, nl=False)
        return
    from bench.support.atomic_files import replacing, writing

    with writing(output), replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"written: {output}", err=True)
