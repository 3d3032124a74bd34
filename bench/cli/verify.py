"""``bench verify``: check every record and artefact of a store against its hash."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli.options import examples, store_option


@click.command(
    epilog=examples(
        "bench verify --store results/runs",
    )
)
@store_option
def verify(store: Path) -> None:
    """Check that records and artefacts belong together; change nothing.

    Every record must be valid, be that of its cell and have the checksum of what it says (records
    of the first release have none); every artefact must have the sha256 in its record, and every
    evaluation must be of the artefact that is recorded. A store without artefacts is valid. Exit
    code 1 if anything is wrong.
    """
    from bench.ledger.verifying import verify_store
    from bench.report.number_formats import plural
    from bench.support.safe_text import printable

    verification = verify_store(store)
    for line in verification.problems:
        click.echo(printable(f"wrong: {line}"))
    click.echo(
        f"{plural(verification.records, 'record')} of their cells, "
        f"{plural(verification.artefacts, 'artefact')} as written"
    )
    if verification.absent:
        click.echo(f"{plural(verification.absent, 'artefact')} not here")
    if verification.other_versions:
        other = plural(verification.other_versions, "record")
        click.echo(f"{other} of another version of bench, not checked")
    if verification.problems:
        problems = plural(len(verification.problems), "problem")
        click.echo(
            f"{problems}: `bench run` computes damaged records again, and damaged artefacts as "
            "soon as a cell needs them"
        )
        sys.exit(1)
