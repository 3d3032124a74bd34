"""``bench clean``: remove the files that a store does not need, after asking."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import examples, store_option
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.ledger.cleaning import Waste

# How many paths of one kind are listed.
_SHOWN = 5


@click.command(
    epilog=examples(
        "bench clean",
        "bench clean --failed --yes",
    )
)
@click.option("--failed", is_flag=True,
              help="Also failed cells, with their logs (SLURM's too) and checkpoints.")  # fmt: skip
@click.option("--artefacts", is_flag=True,
              help="Also distilled sets of which all evaluations are done.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
def clean(failed: bool, artefacts: bool, yes: bool, store: Path) -> None:
    """Remove files that a store does not need; list them and ask first.

    These are files that killed processes left behind, damaged files that were set aside,
    checkpoints of cells that are done, and folders of cells that hold no work. Results are never
    removed.
    """
    from bench.ledger.cleaning import find_waste, remove
    from bench.ledger.store import Store
    from bench.report.number_formats import plural, size

    waste = find_waste(store, failed=failed, artefacts=artefacts)
    if not waste:
        click.echo(f"nothing to remove in '{store}'")
        return
    _print(waste, store)
    if not yes and not _agreed():
        click.echo("nothing was removed")
        return
    freed = remove(Store(store), waste)
    remaining = sum(os.path.lexists(each.path) for each in waste)
    click.echo(f"removed {plural(len(waste) - remaining, 'item')}, {size(freed)}")
    if remaining:
        click.echo(
            f"{plural(remaining, 'item')} could not be removed: in use by now, or permission denied"
        )


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise BenchError("there is no terminal to ask on: use --yes to remove them")
    return click.confirm("Remove them?")


def _print(waste: Sequence[Waste], store: Path) -> None:
    from bench.report.number_formats import duration, plural, size
    from bench.support.safe_text import printable

    kinds = dict.fromkeys(each.kind for each in waste)
    for kind in kinds:
        members = [each for each in waste if each.kind == kind]
        total = size(sum(each.size for each in members))
        again = sum(each.seconds for each in members)
        effort = f"; computing them again takes about {duration(again)}" if again else ""
        click.echo(f"{kind}: {plural(len(members), 'item')}, {total}{effort}")
        for each in members[:_SHOWN]:
            click.echo(printable(f"  {each.path.relative_to(store)}  {size(each.size)}"))
        if len(members) > _SHOWN:
            click.echo(f"  and {len(members) - _SHOWN} more")
