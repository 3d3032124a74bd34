"""``bench conform``: the conformance suite on one method, for plugin authors."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli.options import load_plugins, plugin_option


@click.command()
@click.argument("method")
@plugin_option
def conform(method: str, plugins: tuple[Path, ...]) -> None:
    """Check that METHOD keeps the contract: determinism, resume, shapes, ranges, round trip."""
    load_plugins(plugins)
    from bench.conformance import method_checks
    from bench.registry import METHODS

    cls = METHODS.get(method)
    failed = 0
    for check in method_checks():
        name = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            check(cls)
        except Exception as error:
            failed += 1
            click.secho(f"failed  {name}: {type(error).__name__}: {error}", fg="red")
        else:
            click.secho(f"ok      {name}", fg="green")
    sys.exit(1 if failed else 0)
