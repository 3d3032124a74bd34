"""``bench list``: what exists, without importing any of it where that would cost time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from bench.cli.completion import completion
from bench.cli.options import data_dir_option, examples, load_plugins, plugin_option
from bench.support.errors import unknown_message

Row = dict[str, str]


@click.command("list", epilog=examples("bench list methods", "bench list datasets --json"))
@click.argument(
    "what", metavar="methods|architectures|datasets|protocols", shell_complete=completion("listed")
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
@plugin_option
def list_(what: str, as_json: bool, data_dir: Path | None, plugins: tuple[Path, ...]) -> None:
    """List methods, architectures, datasets or protocols."""
    kinds: dict[str, Callable[[Path | None], list[Row]]] = {
        "methods": _methods,
        "architectures": _architectures,
        "datasets": _datasets,
        "protocols": _protocols,
    }
    if what not in kinds:
        from bench.support.errors import BenchError

        raise BenchError(unknown_message("kind of plugin", what, kinds))
    load_plugins(plugins)
    rows = kinds[what](data_dir)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.text import Text

    from bench.support.safe_text import printable
    from bench.support.screen_table import ScreenTable, essential_columns

    # Names are for typing: they are never wrapped, whatever the others need.
    columns = essential_columns(list(rows[0]) if rows else ["name"], ("name",))
    texts = [[Text(printable(value)) for value in row.values()] for row in rows]
    Console().print(ScreenTable(columns, texts))


def _methods(_: Path | None) -> list[Row]:
    from bench.registry.registry import METHODS

    return [{"name": e.name, "what": e.summary(), "from": e.origin}
            for e in METHODS.entries().values()]  # fmt: skip


def _architectures(_: Path | None) -> list[Row]:
    from bench.registry.registry import ARCHITECTURES

    return [{"name": e.name, "what": e.summary(), "from": e.origin}
            for e in ARCHITECTURES.entries().values()]  # fmt: skip


def _datasets(folder: Path | None) -> list[Row]:
    from bench.datasets.library import data_dir, list_datasets

    return [
        {
            "name": listed.name,
            "shape": "x".join(map(str, listed.spec.shape)) if listed.spec else "",
            "classes": str(listed.spec.num_classes) if listed.spec else "",
            "state": listed.problem or listed.state,
            "note": listed.spec.note if listed.spec else "",
            "from": listed.origin,
        }
        for listed in list_datasets(data_dir(folder))
    ]


def _protocols(_: Path | None) -> list[Row]:
    from bench.evaluation.protocols import PROTOCOLS

    return [{"name": p.name, "version": str(p.version), "epochs": str(p.epochs),
             "nets": str(p.nets), "what": p.summary} for p in PROTOCOLS.values()]  # fmt: skip
