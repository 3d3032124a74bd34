"""Shell completion of the names that options and arguments take; none of it imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from bench.distillation.profiles import PROFILES
from bench.evaluation.protocols import PROTOCOLS
from bench.executors.choose import EXECUTORS
from bench.grid.request import MODES, STORED_AS
from bench.networks.precision import PRECISIONS
from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS, TRACKERS
from bench.support.errors import BenchError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completion(kind: str) -> Complete | None:
    """Return what completes a value of that kind, for ``shell_complete`` of click.

    Of a list that commas separate, the last name is completed, with a name that the list has not.

    Args:
        kind: an option's name, as ``eval_arch``, or ``plugin``, ``shown``, ``listed``,
            ``recipe``.
    """
    names_of = _NAMES.get(kind)
    if names_of is None:
        return None

    def complete(
        context: click.Context,
        param: click.Parameter,  # noqa: ARG001
        incomplete: str,
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        names: Iterable[str] = ()
        with suppress(BenchError):  # a shell would print it into the user's line
            names = names_of(context)
        taken = before.split(",")
        return [
            CompletionItem(f"{before}{comma}{name}")
            for name in dict.fromkeys(names)
            if name.startswith(last) and name not in taken
        ]

    return complete


def _datasets(context: click.Context) -> list[str]:
    from bench.datasets.data_folder import data_dir, known_names

    given = context.params.get("data_dir")
    return known_names(data_dir(None if given is None else Path(given)))


def _plugins(_: click.Context) -> list[str]:
    return sorted({*METHODS.names(), *ARCHITECTURES.names(), *DATASETS.names()})


def _recipes(_: click.Context) -> list[str]:
    from bench.report.recipes.read import built_in_recipes

    return [recipe.name for recipe in built_in_recipes()]


_PROTOCOL_NAMES = [name for one in PROTOCOLS.values() for name in (one.name, one.label)]
_NAMES: dict[str, Callable[[click.Context], Iterable[str]]] = {
    "method": lambda _: METHODS.names(),
    "recompute": lambda _: METHODS.names(),
    "dataset": _datasets,
    "arch": lambda _: ARCHITECTURES.names(),
    "eval_arch": lambda _: ARCHITECTURES.names(),
    "plugin": _plugins,
    "shown": lambda context: [*_plugins(context), *_PROTOCOL_NAMES],
    "recipe": _recipes,
    "listed": lambda _: ("methods", "architectures", "datasets", "protocols"),
    "profile": lambda _: PROFILES,
    "protocol": lambda _: _PROTOCOL_NAMES,
    "mode": lambda _: MODES,
    "stored_as": lambda _: STORED_AS,
    "track": lambda _: TRACKERS.names(),
    "precision": lambda _: PRECISIONS,
    "executor": lambda _: EXECUTORS,
    "device": lambda _: ("auto", "cpu", "cuda", "mps"),
}
