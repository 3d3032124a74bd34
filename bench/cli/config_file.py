"""``--config FILE``: options of ``bench run`` from TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit, read_named

_LISTS = ("method", "dataset", "ipc", "arch", "eval_arch", "mode")
_SCALARS = {"protocol": str, "seeds": int, "eval_nets": int, "profile": str, "precision": str}


def read_config(path: Path) -> dict[str, Any]:
    """Read options from TOML; a list option may be a list or a single value.

    Raises:
        BenchError: if the file cannot be read or holds an unknown key or a wrong type.
    """
    import tomllib

    try:
        content = read_named(path, Limit.CONFIG_BYTES)
    except OSError as error:
        raise BenchError(f"config '{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"config '{path}' cannot be read: {error}") from error
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BenchError(f"config '{path}' is not valid TOML: {error}") from error
    options: dict[str, Any] = {}
    for raw, value in data.items():
        key = raw.replace("-", "_")
        if key in _LISTS:
            values = value if isinstance(value, list) else [value]
            options[key] = [str(v) for v in values]
        elif key == "set":
            options[key] = _settings(value, path)
        elif key in _SCALARS and type(value) is _SCALARS[key]:
            options[key] = value
        elif key in _SCALARS:
            raise BenchError(f"config '{path}': {raw} = {value!r} is not {_SCALARS[key].__name__}")
        else:
            known = [*_LISTS, *_SCALARS, "set"]
            raise BenchError(unknown_message(f"key in config '{path}'", raw, known))
    return options


def _settings(value: Any, path: Path) -> dict[str, Any]:
    """Check the tables of ``[set.METHOD]``."""
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise BenchError(f"config '{path}': set must hold a table per method, as [set.dm]")
    return value
