"""``bench conform``: run the conformance suite on one plugin, for plugin authors."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from bench.cli.completion import completion
from bench.cli.options import examples, load_plugins, plugin_option

_BENCH = Path(__file__).parents[1]


@click.command(
    epilog=examples(
        "bench conform dm",
        "bench conform mean-match --plugin mean_match.py",
    )
)
@click.argument("name", shell_complete=completion("plugin"))
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps.")
@plugin_option
def conform(name: str, device: str, plugins: tuple[Path, ...]) -> None:
    """Check that the method, architecture or dataset NAME fulfils its contract.

    A method: determinism, resume at any step, shapes, ranges and units, global state, round trip.
    An architecture: shapes, seeds, independence of samples, gradients, either order of values
    in memory, training with the CPU's kernels. A dataset: its spec.
    """
    from bench.conformance.place import on_device
    from bench.support.machine import pick_device

    load_plugins(plugins)
    failures: dict[str, str] = {}
    tracebacks = []
    chosen = pick_device(device)
    for check, plugin in _checks(name):
        label = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            with on_device(chosen):
                check(plugin)
        except Exception as error:  # a plugin can raise anything; the other checks still run
            tracebacks.append(f"{label}\n{traceback.format_exc()}")
            click.secho(f"failed  {label}: {_reason(error, label, failures)}", fg="red")
        else:
            click.secho(f"ok      {label}", fg="green")
    if tracebacks:
        click.echo(f"whole tracebacks: {_written(tracebacks)}", err=True)
    sys.exit(1 if tracebacks else 0)


def _reason(error: Exception, label: str, failures: dict[str, str]) -> str:
    """Return what went wrong and where, each reason once: then the check that has it."""
    place = _place(error)
    text = f"{type(error).__name__}: {error}" + (f" ({place})" if place else "")
    first = failures.setdefault(text, label)
    return text if first == label else f"as in {first}"


def _place(error: Exception) -> str:
    """Return the file and line of the plugin's own code at which an error began, if it did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_plugins(Path(frame.filename))]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _is_plugins(path: Path) -> bool:
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    libraries = {"torch", "numpy", "kornia", "sklearn", "concurrent"} & set(path.parts)
    return (
        path.suffix == ".py"
        and not path.is_relative_to(_BENCH)
        and not (libraries or (installed and "bench" in path.parts))
    )


def _written(tracebacks: list[str]) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="bench-conform-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write("\n".join(tracebacks))
    return Path(file.name)


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
