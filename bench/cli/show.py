"""``bench show NAME``: everything there is to know of one plugin, protocol or cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.cli.completion import completion
from bench.cli.options import examples, load_plugins, plugin_option, store_option
from bench.cli.show_cell import describe_cell, print_cell
from bench.support.errors import BenchError, UnknownNameError


@click.command(
    epilog=examples(
        "bench show dm",
        "bench show quick-v1",
    )
)
@click.argument("name", shell_complete=completion("shown"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@plugin_option
def show(name: str, as_json: bool, store: Path, plugins: tuple[Path, ...]) -> None:
    """Show a method, architecture, dataset, protocol or cell.

    Parameters with defaults, help and bounds; profiles; reference; where it comes from. Of a cell,
    by its id or the beginning of it: result, budget, cost, and the diagnostics of a generator.
    """
    load_plugins(plugins)
    record = describe_cell(name, store)
    descriptions: list[dict[str, Any]] = []
    if record is None:
        try:
            descriptions = describe_plugin(name)
        except UnknownNameError as error:
            from bench.ledger.short_id import can_begin_id

            # An id that is cut short can read as a name: names come first.
            record = describe_cell(name, store, shortened=True)
            if record is None and error.similar is None and can_begin_id(name):
                raise BenchError(f"nothing is called '{name}', and {_no_cell(store)}") from None
            if record is None:
                raise
    if record is not None:
        click.echo(json.dumps(record.to_json(), indent=2)) if as_json else print_cell(record)
        return
    if as_json:
        click.echo(json.dumps(descriptions, indent=2))
        return
    for facts in descriptions:
        _print(facts)


def _no_cell(store: Path) -> str:
    if not store.exists():
        return f"there is no store at '{store}': name one by --store"
    return f"the store '{store}' has no cell whose id starts so"


def describe_plugin(name: str) -> list[dict[str, Any]]:
    """Return the facts of everything called ``name``, as plain JSON values.

    Raises:
        UnknownNameError: nothing has that name.
    """
    from bench.evaluation.protocols import PROTOCOLS
    from bench.networks.architecture import registered_name
    from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS

    descriptions = []
    if name in METHODS.names():
        descriptions.append(_method(METHODS.entry(name)))
    if registered_name(name) in ARCHITECTURES.names():
        descriptions.append(_architecture(ARCHITECTURES.entry(registered_name(name)), name))
    if name in DATASETS.names():
        descriptions.append(_dataset(DATASETS.entry(name)))
    versioned = {one.label: one.name for one in PROTOCOLS.values()}
    if protocol := name if name in PROTOCOLS else versioned.get(name):
        descriptions.append(_protocol(protocol))
    if not descriptions:
        registries = (METHODS, ARCHITECTURES, DATASETS)
        known = {n for registry in registries for n in registry.names()} | set(versioned)
        raise UnknownNameError("method, architecture, dataset or protocol", name, known)
    return descriptions


def _head(kind: str, entry: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": entry.name,
        "what": entry.summary(),
        "from": entry.origin,
        "file": entry.target,
    }


def _method(entry: Any) -> dict[str, Any]:
    from bench.distillation.profiles import PROFILES
    from bench.registry.param_values import overrides_in_words

    method = entry.load()
    paper = method.paper
    profiles = {}
    for name in PROFILES:
        profile = method.profiles.get(name)
        overrides = {} if profile is None else profile.overrides
        profiles[name] = {
            "overrides": overrides_in_words(method.Params, overrides),
            "gives_up": "" if profile is None else profile.gives_up,
        }
    return {
        **_head("method", entry),
        "version": method.version,
        "serves every IPC from one artefact": method.ipc_agnostic,
        "depends on --arch": method.uses_arch,
        "evaluated as": list(method.modes),
        "reference": "" if paper is None
        else f"{': '.join(filter(None, (paper.authors, paper.title)))} "
        f"({paper.year}), {paper.link}",
        "parameters": _parameters(method.Params),
        "profiles": profiles,
    }  # fmt: skip


def _architecture(entry: Any, name: str) -> dict[str, Any]:
    family = entry.load()
    # The name alone of a family with unlisted members fixes nothing yet.
    fixed = family.fixed_by(name) if family.members or name != entry.name else {}
    return {
        **_head("architecture", entry),
        "name": name,
        "fixed by the name": dict(fixed),
        "parameters": [p for p in _parameters(family.Params) if p["name"] not in fixed],
    }


def _dataset(entry: Any) -> dict[str, Any]:
    source = entry.load()
    return {
        **_head("dataset", entry),
        **source.spec.to_json(),
    }


def _protocol(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from bench.evaluation.protocols import get_protocol

    protocol = get_protocol(name)
    facts = {"kind": "protocol", "versioned": protocol.label, "from": "distillation-bench"}
    return {**facts, **asdict(protocol)}


def _parameters(params_type: type) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from bench.registry.params import describe

    return [asdict(info) for info in describe(params_type)]


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    from bench.support.safe_text import printable
    from bench.support.screen_table import ScreenTable, essential_columns

    console = Console(highlight=False)
    # A protocol is printed by the name that tables print, which every option takes, too.
    name = facts.get("versioned", facts["name"])
    console.print(Text.assemble((name, "bold"), f"  ({facts['kind']})"))
    unlisted = ("kind", "name", "versioned", "parameters", "profiles")
    for key, value in facts.items():
        if key not in unlisted and value not in ("", [], {}):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            console.print(f"  {key}: {text}", markup=False, soft_wrap=True)
    if facts.get("parameters"):
        columns = essential_columns(("name", "type", "default", "allowed", "help"), ("name",))
        rows = [
            [Text(printable(text)) for text in
             (row["name"], row["type"], str(row["default"]), _allowed(row), row["help"])]
            for row in facts["parameters"]
        ]  # fmt: skip
        console.print(ScreenTable(columns, rows, "parameters"))
    for name, profile in facts.get("profiles", {}).items():
        changes = ", ".join(f"{k}={v}" for k, v in profile["overrides"].items()) or "no change"
        text = f"  profile {name}: {changes}"
        console.print(text, markup=False, soft_wrap=True)
        if profile["gives_up"]:
            console.print(f"    {profile['gives_up']}", markup=False, soft_wrap=True)


def _allowed(row: dict[str, Any]) -> str:
    if row["choices"]:
        return ", ".join(map(str, row["choices"]))
    if row["checked"]:
        return "see help"
    low, high = row["min"], row["max"]
    if low is None and high is None:
        return "any"
    return " ≤ ".join(f"{v:g}" if v != "x" else "x" for v in (low, "x", high) if v is not None)
