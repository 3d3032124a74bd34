"""``bench new``: a package for a plugin of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import examples


@click.command(
    epilog=examples(
        "bench new method my-method",
        "bench new dataset my-data -o packages",
    )
)
@click.argument("kind", metavar="method|architecture|dataset")
@click.argument("name")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path(),
              help="Where the package's folder is made.  [default: here]")  # fmt: skip
def new(kind: str, name: str, output: Path) -> None:
    """Write an installable package with a working plugin of that kind, named NAME.

    It holds the plugin, tests that run the conformance suite, and a README that says what to write
    next.
    """
    from bench.scaffold.package import write_package

    files = write_package(kind, name, output)
    for path in files:
        click.echo(path)
    root = files[0].parent
    click.echo(
        f"next: pip install -e '{root}[test]' && pytest {root} && bench show {name}", err=True
    )
