"""``--config FILE``: options of ``bench run`` from TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.grid.option import Option, options_of
from bench.grid.request import Request
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit, read_named


def read_config(path: Path) -> dict[str, Any]:
    """Read options of a request from TOML; a list option may be a list or a single value.

    Raises:
        BenchError: if the file cannot be read or holds an unknown key or a wrong type.
    """
    options = {option.name: option for option in options_of(Request)}
    values: dict[str, Any] = {}
    for raw, value in _read_toml(path).items():
        key = raw.replace("-", "_")
        if key not in options:
            raise BenchError(unknown_message(f"key in config '{path}'", raw, list(options)))
        values[key] = _read_value(options[key], raw, value, path)
    return values


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
        return value
    if option.is_list:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if type(value) is not option.type:
        raise BenchError(f"config '{path}': {raw} = {value!r} is not {option.type.__name__}")
    return value
