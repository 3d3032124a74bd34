"""Click options generated from the fields that declare them, see :mod:`bench.grid.option`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

import click

from bench.cli.completion import completion
from bench.cli.options import CommaList, FiniteRange, parse_settings
from bench.grid.option import Option, options_of

T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def field_options(cls: type, *names: str, otherwise: str | None = None) -> Decorator:
    """Return a decorator that adds the options of a dataclass to a command.

    An option that is not given is ``None``, or empty if it is repeatable, so that a configuration
    file or an earlier request can decide.

    Args:
        cls: the dataclass.
        names: its fields to add; none for all of them.
        otherwise: what the help text names as the default of each.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options_of(cls)):
            if not names or option.field in names:
                command = _click_option(option, otherwise)(command)
        return command

    return decorate


def take_values(cls: type, options: dict[str, Any]) -> dict[str, Any]:
    """Remove a dataclass's options from those of a command; return the ones that were given."""
    taken = {option.name: options.pop(option.name, None) for option in options_of(cls)}
    return {name: value for name, value in taken.items() if value is not None and value != ()}


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return an instance of a dataclass from its options by name.

    A list of whole numbers is read from texts; what is none stays, and the checks refuse it.
    """
    fields = {}
    for option in options_of(cls):
        if option.name in values:
            value = values[option.name]
            fields[option.field] = [_whole(v) for v in value] if _is_numbers(option) else value
    return cls(**fields)


def _click_option(option: Option, otherwise: str | None) -> Decorator:
    flags = [option.flag, option.name] + ([option.short] if option.short else [])
    # A variable of the environment must not overrule an earlier request.
    envvar = option.envvar if otherwise is None else None
    # "plugin" is an option with a path, not the name of a plugin.
    complete = None if option.metavar == "PATH" else completion(option.name)
    return click.option(
        *flags, help=_help(option, otherwise), envvar=envvar, shell_complete=complete,
        **_shape(option),
    )  # fmt: skip


def _shape(option: Option) -> dict[str, Any]:
    """Return how click reads the option's value."""
    if option.type is bool:
        return {"is_flag": True, "default": None}
    is_path = option.metavar == "PATH"  # of files and folders, which shells complete
    if option.metavar and (option.is_mapping or option.is_list):
        type_ = click.Path() if is_path else None
        return {"multiple": True, "metavar": option.metavar, "type": type_}
    if is_path:
        return {"type": click.Path(), "metavar": option.metavar}
    kind: click.ParamType | type = option.type  # type: ignore[type-arg,unused-ignore]
    if option.is_list:
        return {"type": CommaList(), "metavar": option.metavar}
    if option.min is not None and option.type is int:
        kind = click.IntRange(min=int(option.min))
    elif option.min is not None:
        kind = FiniteRange(min=option.min, min_open=option.above_min)
    names = {int: "N", float: "NUMBER", str: "NAME"}
    return {"type": kind, "metavar": option.metavar or names.get(option.type)}


def _help(option: Option, otherwise: str | None) -> str:
    default = option.otherwise or option.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if otherwise is not None:
        default = otherwise
    unsaid = default is MISSING or default is None or default == "" or option.type is bool
    return option.help if unsaid else f"{option.help}  [default: {default}]"


def _is_numbers(option: Option) -> bool:
    return option.is_list and option.type is int


def _whole(text: Any) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


def read_settings(values: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a command line over those of a configuration file.

    A parameter that the command line sets replaces the file's; the file's others stay.
    """
    settings = {method: dict(table) for method, table in config.get("set", {}).items()}
    for method, table in parse_settings(values.get("set", ())).items():
        settings.setdefault(method, {}).update(table)
    return {**config, **values, "set": settings}
