"""Values of parameters: read from text, checked against their declaration, and put together."""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from bench.registry.params import Rule, as_dict, declared, in_words, type_name
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit

# Separates the elements of a tuple in a string; the plus of an exponent (1e+5) does not.
_SEPARATOR = re.compile(r"(?<![0-9.][eE])\+|:")


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
        overrides: values by name, see :func:`by_stored_name`; strings (from a command line) are
            parsed to the field's type.
        owner: the plugin's name, for messages.
        ipc: images per class, for defaults that depend on it; ``None`` for an IPC-agnostic plugin.
        dataset: its name, for defaults that depend on it; empty for none in particular.

    Raises:
        BenchError: for an unknown name, a value of the wrong type or out of bounds.
    """
    given = by_stored_name(params_type, overrides, owner)
    values = {}
    for each in declared(params_type):
        label = f"{owner}.{each.name}"
        value = given.get(each.stored, each.field.default)
        if value is dataclasses.MISSING:
            raise BenchError(f"{label} has no default: declare it with param(default, ...)")
        if isinstance(value, Rule):
            if ipc is None and value.needs_ipc:
                raise BenchError(f"{label} depends on IPC, but {owner} serves every IPC")
            value = value.rule(dataset, ipc or 0)
        values[each.path] = _checked(value, each.type, each.field, label)
    return _build(params_type, values)


def by_stored_name(params_type: type, overrides: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return overrides by the names under which parameters are stored.

    Args:
        params_type: the frozen dataclass a plugin declares.
        overrides: values by ``gan.width``, by ``gan_width``, or by ``gan`` with a table or an
            instance of the group's class.
        owner: the plugin's name, for messages.

    Raises:
        BenchError: for a name that there is not, or one parameter given under two names.
    """
    known = {each.name: each.stored for each in declared(params_type)}
    stored_names = set(known.values())
    given: dict[str, Any] = {}
    for name, value in _without_tables(params_type, overrides):
        stored = known.get(name, name if name in stored_names else None)
        if stored is None:
            raise BenchError(unknown_message(f"parameter of {owner}", name, known))
        if stored in given:
            dotted = next(n for n, s in known.items() if s == stored)
            raise BenchError(f"{owner}.{dotted} is given twice: as {stored} and as {dotted}")
        given[stored] = value
    return given


def former_names(params_type: type, overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return the names among ``overrides`` that parameters had before there were groups.

    Returns:
        The present name by each former one: ``{"gan_width": "gan.width"}``.
    """
    names = {each.stored: each.name for each in declared(params_type)}
    return {n: names[n] for n in overrides if n in names and names[n] != n}


def overrides_in_words(params_type: type, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for people, by dotted name; in place of a rule its text."""
    return {name: in_words(value) for name, value in _without_tables(params_type, overrides)}


def _without_tables(params_type: type, overrides: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield overrides one by one, those of a group by dotted name."""
    groups = {f.name for f in dataclasses.fields(params_type) if f.metadata.get("nested")}
    for name, value in overrides.items():
        if name not in groups:
            yield name, value
            continue
        table = as_dict(value) if dataclasses.is_dataclass(value) else value
        if not isinstance(table, Mapping):
            raise BenchError(
                f"'{name}' is a group of parameters, not a value: set one as {name}.NAME=VALUE"
            )
        yield from ((f"{name}.{key}", each) for key, each in table.items())


def _build(
    params_type: type, values: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()
) -> Any:
    """Build a parameter object, and those of its groups first."""
    hints, arguments = get_type_hints(params_type), {}
    for field in dataclasses.fields(params_type):
        own = (*path, field.name)
        nested = field.metadata.get("nested")
        arguments[field.name] = _build(hints[field.name], values, own) if nested else values[own]
    return params_type(**arguments)


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
    return words.get(hint, f"a {type_name(hint)}")
