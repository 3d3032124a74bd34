"""``bench export CELL|FILE -o DIR``: a distilled set for others, with a card."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import examples, store_option
from bench.exchange.given import FORMAT_NAMES, IMAGE_TYPES


@click.command(
    epilog=examples(
        "bench export 4f1c -o dm-cifar10 --format pt --licence MIT",
    )
)
@click.argument("source", metavar="CELL|FILE")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True,
              help="The folder to make.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(FORMAT_NAMES), default="safetensors",
              show_default=True, help="pt: as the field's scripts read it.")  # fmt: skip
@click.option("--dtype", type=click.Choice(IMAGE_TYPES), help="Store the images so.")
@click.option("--licence", default="unknown", show_default=True, help="What the card says.")
@store_option
def export(
    source: str, output: Path, format_: str, dtype: str | None, licence: str, store: Path
) -> None:
    """Write a distilled set and a card that says what it is and how to load it.

    CELL is an id of `bench table --format csv` (distil_ids or cell_ids), or its beginning if no
    other cell's id starts so; FILE an artefact.safetensors. A generator is exported as weights
    (safetensors), or as weights and a module that needs torch alone (pt).
    """
    from bench.exchange.export import export as write
    from bench.ledger.store import Store

    files = write(
        source, output, format=format_, dtype=dtype, licence=licence, store=Store(store),
        report=lambda line: click.echo(f"warning: {line}", err=True),
    )  # fmt: skip
    for path in files[:20]:
        click.echo(f"written: {path}")
    if len(files) > 20:
        click.echo(f"and {len(files) - 20:,} more")
