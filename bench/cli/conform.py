"""``bench conform``: run the conformance suite on one plugin, for plugin authors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from bench.cli.options import load_plugins, plugin_option


@click.command()
@click.argument("name")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps.")
@plugin_option
def conform(name: str, device: str, plugins: tuple[Path, ...]) -> None:
    """Check that the method, architecture or dataset NAME fulfils its contract.

    A method: determinism, resume at any step, shapes, ranges and units, global state, round trip.
    An architecture: shapes, seeds, independence of samples, gradients. A dataset: its spec.
    """
    from bench.conformance.place import on_device
    from bench.support.machine import pick_device

    load_plugins(plugins)
    failed, chosen = 0, pick_device(device)
    for check, plugin in _checks(name):
        label = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            with on_device(chosen):
                check(plugin)
        except Exception as error:  # a plugin can raise anything; the other checks still run
            failed += 1
            click.secho(f"failed  {label}: {type(error).__name__}: {error}", fg="red")
        else:
            click.secho(f"ok      {label}", fg="green")
    sys.exit(1 if failed else 0)


def _checks(name: str) -> Iterator[tuple[Callable[[Any], None], Any]]:
    """Yield each check with the plugin that it takes; one name can be of several kinds."""
    from bench.conformance import architecture_checks, dataset_checks, method_checks
    from bench.networks.architecture import parse_architecture, registered_name
    from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS
    from bench.support.errors import UnknownNameError

    kinds = (METHODS, ARCHITECTURES, DATASETS)
    is_architecture = registered_name(name) in ARCHITECTURES.names()
    if not is_architecture and not any(name in kind.names() for kind in kinds):
        known = [n for kind in kinds for n in kind.names()]
        raise UnknownNameError("method, architecture or dataset", name, known)
    if name in METHODS.names():
        yield from ((check, METHODS.get(name)) for check in method_checks())
    if is_architecture:
        parse_architecture(name)  # a wrong name is one error, not a failure of every check
        yield from ((check, name) for check in architecture_checks())
    if name in DATASETS.names():
        yield from ((check, DATASETS.get(name)) for check in dataset_checks())
