"""Parameters that plugins declare: a frozen dataclass whose fields carry help and bounds.

    @dataclass(frozen=True)
    class Params:
        iterations: int = param(20_000, help="outer iterations", min=1)
        inner_loop: int = param(by_ipc(lambda ipc: 1 if ipc == 1 else 50), help="...", min=1)

A default may be a rule over IPC (:func:`by_ipc`) or over dataset and IPC (:func:`by_task`);
:func:`resolve` turns it into a plain value, so an instance that reaches a method holds numbers,
strings, booleans and tuples of them only.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit

# Separates the elements of a tuple in a string; the plus of an exponent (1e+5) does not.
_SEPARATOR = re.compile(r"(?<![0-9.][eE])\+|:")


@dataclasses.dataclass(frozen=True)
class NoParams:
    """The parameters of a plugin that has none."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A default that depends on the dataset's name and on images per class."""

    rule: Callable[[str, int], Any]
    text: str


def by_ipc(rule: Callable[[int], Any], text: str = "depends on IPC") -> Any:
    """Declare a default as a function of IPC; ``text`` says the rule in words."""
    return Rule(lambda _, ipc: rule(ipc), text)


def by_task(rule: Callable[[str, int], Any], text: str = "depends on dataset and IPC") -> Any:
    """Declare a default as a function of the dataset's name and IPC.

    The rule must have a value for every name: users bring their own datasets.
    """
    return Rule(rule, text)


def param(
    default: Any,
    *,
    help: str,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[Any] | None = None,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """Declare one parameter of a plugin.

    Args:
        default: the paper's value, or a rule: :func:`by_ipc`, :func:`by_task`.
        help: one line that says what it is, with its unit.
        min: the smallest value allowed, inclusive.
        max: the largest value allowed, inclusive.
        choices: the only values allowed; for a tuple field, the only elements allowed.
        check: called with a value, for a tuple field with each element, before anything runs;
            raises BenchError for one that is not allowed.
    """
    metadata = {"help": help, "min": min, "max": max, "choices": choices, "check": check}
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
    checked: bool


def describe(params_type: type) -> list[ParamInfo]:
    """List the parameters that a dataclass declares, in order."""
    hints = get_type_hints(params_type)
    return [
        ParamInfo(
            field.name,
            _type_name(hints[field.name]),
            field.default.text if isinstance(field.default, Rule) else field.default,
            field.metadata.get("help", ""),
            field.metadata.get("min"),
            field.metadata.get("max"),
            field.metadata.get("choices"),
            field.metadata.get("check") is not None,
        )
        for field in dataclasses.fields(params_type)
    ]


def resolve(
    params_type: type,
    overrides: Mapping[str, Any],
    *,
    owner: str,
    ipc: int | None = None,
    dataset: str = "",
) -> Any:
    """Build a parameter object from its defaults and ``overrides``.

    Args:
        params_type: the frozen dataclass a plugin declares.
        overrides: values by name; strings (from a command line) are parsed to the field's type.
        owner: the plugin's name, for messages.
        ipc: images per class, for defaults that depend on it; ``None`` for an IPC-agnostic plugin.
        dataset: its name, for defaults that depend on it; empty for none in particular.

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
        if value is dataclasses.MISSING:
            raise BenchError(f"{owner}.{name} has no default: declare it with param(default, ...)")
        if isinstance(value, Rule):
            if ipc is None:
                raise BenchError(f"{owner}.{name} depends on IPC, but {owner} serves every IPC")
            value = value.rule(dataset, ipc)
        values[name] = _checked(value, hints[name], field, f"{owner}.{name}")
    return params_type(**values)


def as_dict(params: Any) -> dict[str, Any]:
    """Return a parameter object as plain JSON values (tuples become lists)."""
    raw = dataclasses.asdict(params)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in raw.items()}


def _checked(value: Any, hint: Any, field: dataclasses.Field[Any], label: str) -> Any:
    value = _convert(value, hint, label)
    low, high = field.metadata.get("min"), field.metadata.get("max")
    choices, check = field.metadata.get("choices"), field.metadata.get("check")
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
        if check is not None:
            try:
                check(item)
            except BenchError as error:
                raise BenchError(f"{label} = {item!r} is not allowed: {error}") from error
    return value


def _convert(value: Any, hint: Any, label: str) -> Any:
    """Turn ``value`` (often a string) into the type that ``hint`` names."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _to_union(value, get_args(hint), label)
    if origin is tuple:
        return _to_tuple(value, hint, label)
    wrong = BenchError(f"{label} = {value!r} is not {_article(hint)}")
    if hint is bool:
        return _to_bool(value, wrong)
    if hint is str:
        return _to_text(value, label, wrong)
    if isinstance(value, bool) or value is None:
        raise wrong
    try:
        converted = _to_int(value) if hint is int else hint(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if hint is not float:
        return converted
    if not math.isfinite(converted):
        raise wrong
    return converted + 0.0  # -0.0 becomes 0.0: equal values, one identity


def _to_text(value: Any, label: str, wrong: BenchError) -> str:
    if not isinstance(value, str):
        raise wrong
    if len(value) > Limit.PARAMETER_LETTERS:
        raise BenchError(
            f"{label} has {len(value):,} letters: at most {Limit.PARAMETER_LETTERS} are allowed"
        )
    return value


def _to_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)  # "1e3" and "5.0" are whole too
    whole = int(value)
    if whole != value:
        raise ValueError("not whole")
    return whole


def _to_tuple(value: Any, hint: Any, label: str) -> tuple[Any, ...]:
    """Convert each element; a string is split at ``+`` or ``:``."""
    parts = _SEPARATOR.split(value) if isinstance(value, str) else value
    types_of = get_args(hint)
    if types_of[-1] is Ellipsis and isinstance(parts, list | tuple):
        types_of = types_of[:1] * len(parts)
    if not isinstance(parts, list | tuple) or len(parts) != len(types_of):
        raise BenchError(f"{label} = {value!r} is not {_article(hint)}")
    return tuple(_convert(p, t, label) for p, t in zip(parts, types_of, strict=True))


def _to_union(value: Any, options: Sequence[Any], label: str) -> Any:
    """Take the first of the types that the value converts to; ``none`` in a string is ``None``."""
    absent = value is None or (isinstance(value, str) and value.lower() == "none")
    if absent and type(None) in options:
        return None
    errors = []
    for option in options:
        if option is not type(None):
            try:
                return _convert(value, option, label)
            except BenchError as error:
                errors.append(error)
    raise errors[0]


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
