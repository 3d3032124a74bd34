"""Options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.ledger.store import DEFAULT_STORE
from bench.support.comma_list import split_commas
from bench.support.errors import BenchError


class CommaList(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on
    """``a,b,c``; commas inside parentheses belong to a name: ``convnet3(width=64,norm=none)``."""

    name = "LIST"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> list[str]:
        """Split at the commas outside parentheses; a list of nothing is refused.

        An unset variable of a shell, ``--dataset "$DATA"``, must not mean all datasets.
        """
        parts = value if isinstance(value, list) else split_commas(value)
        if not parts:
            self.fail("the list is empty: name at least one, or leave the option out", param, ctx)
        return parts


class FiniteRange(click.FloatRange):
    """A number within bounds that is neither infinite nor none at all."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines, which click must not wrap."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def parse_settings(values: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Turn ``("dm.iterations=200",)`` into ``{"dm": {"iterations": "200"}}``.

    Raises:
        BenchError: if a value is not of the form METHOD.KEY=VALUE, or a key comes twice.
    """
    settings: dict[str, dict[str, str]] = {}
    for text in values:
        left, sign, value = text.partition("=")
        method, dot, key = left.partition(".")
        if not (sign and dot and method and key):
            raise BenchError(f"--set '{text}' is not of the form METHOD.KEY=VALUE")
        own = settings.setdefault(method, {})
        if key in own:
            raise BenchError(f"--set gives {left} twice: {own[key]} and {value}")
        own[key] = value
    return settings


def parse_seconds(text: str) -> float:
    """Turn ``8h``, ``90m``, ``1h30m`` or ``45s`` into seconds; a unit is needed.

    Raises:
        BenchError: naming the value that is no length of time.
    """
    match = re.fullmatch(r"(?:(\d+\.?\d*)h)?(?:(\d+\.?\d*)m)?(?:(\d+\.?\d*)s)?", text.strip())
    if not text.strip() or match is None:
        raise BenchError(
            f"--time-budget '{text}' is not a length of time like 8h, 90m, 1h30m or 45s"
        )
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def load_plugins(paths: tuple[Path, ...]) -> None:
    """Import plugin files given on the command line."""
    from bench.registry.plugin_files import load_plugin_file

    for path in paths:
        load_plugin_file(path)


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store``."""
    return click.option(
        "--store", type=click.Path(path_type=Path), default=DEFAULT_STORE, show_default=True,
        help="Folder that keeps every cell's record and artefact.",
    )(command)  # fmt: skip


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data-dir``."""
    return click.option(
        "--data-dir", type=click.Path(path_type=Path), default=None, envvar="BENCH_DATA",
        help="Folder of packed datasets.  [default: BENCH_DATA, else the user's data folder]",
    )(command)  # fmt: skip


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--plugin``."""
    return click.option(
        "--plugin", "plugins", type=click.Path(path_type=Path), multiple=True,
        help="A Python file with a method, architecture or dataset of your own; repeatable.",
    )(command)  # fmt: skip


def time_budget_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--time-budget``; the command gets seconds, or ``None``."""
    return click.option(
        "--time-budget", metavar="TIME",
        help="End after 8h, 90m or 30s; the next call does the rest.",
        callback=lambda _context, _option, text: None if text is None else parse_seconds(text),
    )(command)  # fmt: skip
