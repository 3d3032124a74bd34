"""A nested state in one safetensors file: tensors by number, everything else as JSON.

A digest over all of it tells a damaged file from a whole one: safetensors itself does not notice
a flipped bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.distilled.digest import tensors_digest
from bench.distilled.io import load_tensors, save_tensors
from bench.support.errors import BenchError

FORMAT = 1
_PLAIN = (bool, int, str, type(None))


def save_state(state: Any, path: Path) -> None:
    """Write a state, atomically.

    Args:
        state: nested dicts (keys text or whole numbers) and lists of tensors, numbers, strings,
            booleans and ``None``. Tuples come back as lists.
        path: the file.

    Raises:
        TypeError: naming a type that such a file cannot hold.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    header = {"format": FORMAT, "tree": tree, "digest": _digest(tree, tensors)}
    save_tensors(tensors, header, path)


def load_state(path: Path, device: torch.device) -> Any:
    """Read what :func:`save_state` wrote; tensors that were not on the CPU go to ``device``.

    Raises:
        BenchError: the file is absent, damaged, or of another format.
    """
    tensors, header = load_tensors(path)
    if header.get("format") != FORMAT:
        raise BenchError(f"'{path}' has format {header.get('format')!r}; this bench reads {FORMAT}")
    try:
        if header.get("digest") != _digest(header.get("tree"), tensors):
            raise BenchError(f"'{path}' is not what was written: its digest differs")
        return _unpack(header["tree"], tensors, device)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BenchError(f"'{path}' does not hold a state: {error!r:.200}") from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu()
        return {"tensor": name, "host": value.device.type == "cpu"}
    if isinstance(value, Mapping):
        _refuse_keys(value)
        return {"dict": [[key, _pack(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(each, tensors) for each in value]}
    if isinstance(value, float):
        return {"float": value.hex()}  # exact, and JSON has no word for infinity
    if isinstance(value, _PLAIN):
        return {"plain": value}
    raise TypeError(f"a state must not hold {type(value).__name__}")


def _refuse_keys(value: Mapping[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise TypeError(f"a state's keys are text or whole numbers, not {key!r}")


def _unpack(tree: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    if "tensor" in tree:
        tensor = tensors[tree["tensor"]]
        return tensor if tree["host"] else tensor.to(device)
    if "dict" in tree:
        return {key: _unpack(each, tensors, device) for key, each in tree["dict"]}
    if "list" in tree:
        return [_unpack(each, tensors, device) for each in tree["list"]]
    return float.fromhex(tree["float"]) if "float" in tree else tree["plain"]


def _digest(tree: Any, tensors: Mapping[str, Tensor]) -> str:
    return tensors_digest(json.dumps(tree, sort_keys=True), tensors)
