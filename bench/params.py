"""Parameters that plugins declare: a frozen dataclass whose fields carry help and bounds.

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(20_000, help="outer iterations", min=1)
        inner_loop: int = param(by_ipc(lambda ipc: 1 if ipc == 1 else 50), help="...", min=1)

A default may be a rule over IPC (:func:`by_ipc`); :func:`resolve` turns it into a plain value, so
an instance that reaches a method holds numbers, strings, booleans and tuples of them only.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from bench.errors import BenchError, unknown_message


@dataclasses.dataclass(frozen=True)
class NoParams:
    """The parameters of a plugin that has none."""


@dataclasses.dataclass(frozen=True)
class ByIPC:
    """A default that depends on images per class."""

    rule: Callable[[int], Any]
    text: str


def by_ipc(rule: Callable[[int], Any], text: str = "depends on IPC") -> Any:
    """Declare a default as a function of IPC; ``text`` says the rule in words."""
    return ByIPC(rule, text)


def param(
    default: Any,
    *,
    help: str,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Declare one parameter of a plugin.

    Args:
        default: the paper's value, or :func:`by_ipc`.
        help: one line that says what it is, with its unit.
        min: the smallest value allowed, inclusive.
        max: the largest value allowed, inclusive.
        choices: the only values allowed; for a tuple field, the only elements allowed.
    """
    metadata = {"help": help, "min": min, "max": max, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class ParamInfo:
    """What ``bench show`` prints of one parameter."""

    name: str
    type: str
    default: Any
    help: str
    min: float | None
    max: float | None
    choices: Sequence[Any] | None


def describe(params_type: type) -> list[ParamInfo]:
    """List the parameters that a dataclass declares, in order."""
    hints = get_type_hints(params_type)
    return [
        ParamInfo(
            field.name,
            _type_name(hints[field.name]),
            field.default.text if isinstance(field.default, ByIPC) else field.default,
            field.metadata.get("help", ""),
            field.metadata.get("min"),
            field.metadata.get("max"),
            field.metadata.get("choices"),
        )
        for field in dataclasses.fields(params_type)
    ]


def resolve(
    params_type: type, overrides: Mapping[str, Any], *, owner: str, ipc: int | None = None
) -> Any:
    """Build a parameter object from its defaults and ``overrides``.

    Args:
        params_type: the frozen dataclass a plugin declares.
        overrides: values by name; strings (from a command line) are parsed to the field's type.
        owner: the plugin's name, for messages.
        ipc: images per class, for defaults that depend on it; ``None`` for an IPC-agnostic plugin.

    Raises:
        BenchError: for an unknown name, a value of the wrong type or out of bounds.
    """
    hints = get_type_hints(params_type)
    fields = {f.name: f for f in dataclasses.fields(params_type)}
    for name in overrides:
        if name not in fields:
            raise BenchError(unknown_message(f"parameter of {owner}", name, fields))
    values = {}
    for name, field in fields.items():
        value = overrides.get(name, field.default)
        if isinstance(value, ByIPC):
            if ipc is None:
                raise BenchError(f"{owner}.{name} depends on IPC, but {owner} serves every IPC")
            value = value.rule(ipc)
        values[name] = _checked(value, hints[name], field, f"{owner}.{name}")
    return params_type(**values)


def as_dict(params: Any) -> dict[str, Any]:
    """Return a parameter object as plain JSON values (tuples become lists)."""
    raw = dataclasses.asdict(params)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in raw.items()}


def _checked(value: Any, hint: Any, field: dataclasses.Field[Any], label: str) -> Any:
    value = _convert(value, hint, label)
    low, high = field.metadata.get("min"), field.metadata.get("max")
    choices = field.metadata.get("choices")
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if low is not None and item < low:
            raise BenchError(f"{label} = {item!r} is too small: it must be at least {low}")
        if high is not None and item > high:
            raise BenchError(f"{label} = {item!r} is too large: it must be at most {high}")
        if choices is not None and item not in choices:
            allowed = ", ".join(map(str, choices))
            raise BenchError(f"{label} = {item!r} is not allowed: choose from {allowed}")
    return value


def _convert(value: Any, hint: Any, label: str) -> Any:
    """Turn ``value`` (often a string) into the type that ``hint`` names."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = [a for a in get_args(hint) if a is not type(None)]
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        return _convert(value, options[0], label)
    if origin is tuple:
        parts = value.replace(":", "+").split("+") if isinstance(value, str) else value
        return tuple(_convert(p, get_args(hint)[0], label) for p in parts)
    wrong = BenchError(f"{label} = {value!r} is not {_article(hint)}")
    if hint is bool:
        return _to_bool(value, wrong)
    if isinstance(value, bool) or value is None:
        raise wrong
    try:
        if hint is int and float(value) != int(float(value)):
            raise wrong
        converted = hint(float(value)) if hint is int else hint(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if hint is float and converted != converted:
        raise wrong
    return converted


def _to_bool(value: Any, wrong: BenchError) -> bool:
    if isinstance(value, bool):
        return value
    named = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, str) and value.lower() in named:
        return named[value.lower()]
    raise wrong


def _article(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, f"a {_type_name(hint)}")


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
