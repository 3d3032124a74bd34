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
    rows = _to_show(rows)
    from rich.console import Console
    from rich.text import Text

    from bench.support.safe_text import printable
    from bench.support.screen_table import ScreenTable, essential_columns

    # Names are for typing: they are never wrapped, whatever the others need.
    columns = essential_columns(list(rows[0]) if rows else ["name"], ("name",))
    texts = [[Text(printable(value)) for value in row.values()] for row in rows]
    Console().print(ScreenTable(columns, texts))


def _to_show(rows: list[Row]) -> list[Row]:
    """Return rows without what a screen has no room for: links, and what all share or say twice."""
    left_out = {"link", "version"} | (
        {"from"} if len({row.get("from") for row in rows}) == 1 else set()
    )
    return [{key: text for key, text in row.items() if key not in left_out} for row in rows]


def _methods(_: Path | None) -> list[Row]:
    from bench.registry.registry import METHODS

    rows = []
    for entry in METHODS.entries().values():
        paper = entry.built("paper", ("title", "year", "link"))
        rows.append({
            "name": entry.name,
            "what": entry.summary(),
            # What a class leaves out is the base class's.
            "artefact": str(entry.declared("artefact") or "image"),
            "labels": str(entry.declared("label_kind") or "hard"),
            "year": str(paper.get("year", "")),
            "paper": str(paper.get("title", "")),
            "link": str(paper.get("link", "")),
            "from": entry.origin,
        })  # fmt: skip
    return rows


def _architectures(_: Path | None) -> list[Row]:
    from bench.registry.registry import ARCHITECTURES

    return [{"name": e.name, "what": e.summary(), "from": e.origin}
            for e in ARCHITECTURES.entries().values()]  # fmt: skip


def _datasets(folder: Path | None) -> list[Row]:
    from bench.datasets.data_folder import data_dir, list_datasets

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

    return [
        {
            "name": p.name, "versioned": p.label, "version": str(p.version),
            "epochs": str(p.epochs), "nets": str(p.nets), "what": p.summary,
        }
        for p in PROTOCOLS.values()
    ]  # fmt: skip
