"""``bench verify``: every record and artefact of a store against its hash."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli.options import store_option


@click.command()
@store_option
def verify(store: Path) -> None:
    """Check that records and artefacts belong together; changes nothing.

    Every record must be valid and be that of its cell, every artefact must have the sha256 that its
    record says. What a record says of results has no hash of its own. A store of records alone is
    fine. Exit code 1 if anything is wrong.
    """
    from bench.ledger.verifying import verify_store
    from bench.report.number_formats import plural
    from bench.support.safe_text import printable

    verdict = verify_store(store)
    for line in verdict.problems:
        click.echo(printable(f"wrong: {line}"))
    click.echo(
        f"{plural(verdict.records, 'record')} of their cells, "
        f"{plural(verdict.artefacts, 'artefact')} as written"
    )
    if verdict.absent:
        click.echo(f"{plural(verdict.absent, 'artefact')} not here")
    if verdict.other_versions:
        other = plural(verdict.other_versions, "record")
        click.echo(f"{other} of another version of bench, not checked")
    if verdict.problems:
        found = plural(len(verdict.problems), "problem")
        click.echo(
            f"{found}: `bench run` makes damaged records again, and damaged artefacts as soon as "
            "something needs them"
        )
        sys.exit(1)
