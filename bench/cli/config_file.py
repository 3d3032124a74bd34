"""``--config FILE`` and ``--save-config FILE``: options of ``bench run`` in TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.options import parse_seconds
from bench.executors.choose import ExecutorOptions
from bench.grid.option import Option, options_of
from bench.grid.request import Request, Reuse
from bench.grid.site import Site
from bench.support.comma_list import split_commas
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit, read_named
from bench.tracking import Tracking

# A file that someone sent must not say which code runs, on which machines, where files are, or to
# whose account results are sent, unless the user says that it may.
NEED_TRUST = ("plugin", "store", "data_dir", "address", "slurm", "track")
# What the command line has beside the options that fields declare.
_OTHERS = {"time_budget": str, "yes": bool, "dry_run": bool, "json": bool}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_config(path: Path, *, trusted: bool = False) -> dict[str, Any]:
    """Read options of ``bench run`` from TOML; a list option may be a list or a single value.

    Paths mean what they mean on the command line: relative ones begin in the working directory.

    Args:
        path: of the file.
        trusted: whether the user vouches for the file, so that it may hold :data:`NEED_TRUST`.

    Raises:
        BenchError: if the file cannot be read or holds an unknown key, a wrong type, a number that
            is not allowed, or without trust one of :data:`NEED_TRUST`.
    """
    options = _options()
    values: dict[str, Any] = {}
    for raw, value in _read_toml(path).items():
        key = raw.replace("-", "_")
        if key in NEED_TRUST and not trusted:
            raise BenchError(
                f"config '{path}': '{raw}' says which code runs, on which machines, or where files "
                "or results go: add --trust-config if the file is yours or you have read it"
            )
        if key not in options and key not in _OTHERS:
            known = [*options, *_OTHERS]
            raise BenchError(unknown_message(f"key in config '{path}'", raw, known))
        if key in _OTHERS:
            checked = _checked(value, _OTHERS[key], raw, path)
            values[key] = parse_seconds(checked) if key == "time_budget" else checked
        else:
            values[key] = _read_value(options[key], raw, value, path)
    return values


def write_config(values: Mapping[str, Any]) -> str:
    """Return options as the TOML that :func:`read_config` reads.

    Args:
        values: options by name; ``set`` holds a table for each method, ``time_budget`` is in
            seconds.
    """
    lines = [
        f"{key} = {_to_toml(f'{value}s' if key == 'time_budget' else value)}"
        for key, value in values.items()
        if key != "set"
    ]
    for method, table in values.get("set", {}).items():
        lines += ["", f"[set.{_key(method)}]"]
        lines += [f"{_key(key)} = {_to_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _options() -> dict[str, Option]:
    classes = (Request, Site, Reuse, Tracking, ExecutorOptions)
    return {option.name: option for cls in classes for option in options_of(cls)}


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        content = read_named(path, Limit.CONFIG_BYTES)
    except OSError as error:
        raise BenchError(f"config '{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"config '{path}' cannot be read: {error}") from error
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BenchError(f"config '{path}' is not valid TOML: {error}") from error


def _read_value(option: Option, raw: str, value: Any, path: Path) -> Any:
    """Return a value of the option's type; the elements of a list are read like texts."""
    if option.is_mapping:
        if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
            raise BenchError(f"config '{path}': set must hold a table per method, as [set.dm]")
        for method, table in value.items():
            _check_plain(table, f"set.{method}", path)
        return value
    if option.is_list:
        # A path, or an option of sbatch, may have commas.
        if isinstance(value, str) and option.name not in NEED_TRUST:
            return split_commas(value)
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    number = _checked(value, option.type, raw, path)
    option.check(number)
    if option.above_min and number == option.min:
        raise BenchError(f"config '{path}': {raw} = {value!r} must be more than {option.min}")
    return number


def _check_plain(value: Any, name: str, path: Path) -> None:
    """Refuse a date or a time, which no parameter takes and JSON does not know."""
    if isinstance(value, dict):
        for key, each in value.items():
            _check_plain(each, f"{name}.{key}", path)
    elif isinstance(value, list):
        for each in value:
            _check_plain(each, name, path)
    elif not isinstance(value, str | int | float):
        raise BenchError(f"config '{path}': {name} = {value} is neither a text nor a number")


def _checked(value: Any, kind: type, raw: str, path: Path) -> Any:
    """Return a value of that type; a whole number is a number, too."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise BenchError(f"config '{path}': {raw} = {value!r} is not {kind.__name__}")
    return value


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _to_toml(name)


def _to_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_to_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # TOML's escapes are JSON's, and it allows no control character as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
