"""A generator as a ``.pt`` file: its weights, and the header of bench's own files beside them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.distilled.base import DistilledSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.io import assemble, header_of
from bench.support.errors import BenchError
from bench.support.strict_json import parse_json
from bench.support.untrusted import Limit

# The header, as text, and the weights by name; the module of a generator reads them too.
_HEADER, _WEIGHTS = "bench", "weights"


def write_generator(distilled: GeneratorSet, folder: Path, name: str) -> None:
    """Write ``NAME.pt``, and ``generator.py``, which draws from it and needs torch alone.

    The file is ``{"bench": header, "weights": {name: tensor}}``. The header is the JSON text of a
    safetensors file of bench: format, kind, dataset spec, configuration and provenance.

    Raises:
        BenchError: the generator has no module that needs torch alone.
    """
    standalone = type(distilled.network).standalone
    if standalone is None or standalone.__file__ is None:
        raise BenchError(
            f"the generator '{distilled.factory}' has no module that needs torch alone: use "
            "--format safetensors"
        )
    header = json.dumps(header_of(distilled), sort_keys=True, allow_nan=False)
    weights = {key: tensor.cpu().contiguous() for key, tensor in distilled.tensors().items()}
    save_pt({_HEADER: header, _WEIGHTS: weights}, folder / f"{name}.pt")
    shutil.copyfile(standalone.__file__, folder / "generator.py")


def is_generator(value: Any) -> bool:
    """Return whether :func:`write_generator` wrote what a ``.pt`` file holds."""
    return isinstance(value, Mapping) and _HEADER in value and _WEIGHTS in value


def as_generator(value: Mapping[Any, Any], path: Path) -> DistilledSet:
    """Return the generator in a ``.pt`` file.

    Args:
        value: what the file holds, of :func:`is_generator`.
        path: the file.

    Raises:
        BenchError: the header or the weights are damaged, or do not fit together.
    """
    try:
        header, weights = _header(value[_HEADER]), _weights(value[_WEIGHTS], path.stat().st_size)
    except ValueError as error:
        raise BenchError(f"'{path}' is not a valid generator of bench: {error}") from error
    return assemble(weights, header, path)


def save_pt(value: Any, path: Path) -> None:
    """Write a file as :func:`torch.save` does, whose own errors do not say that a disk is full."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    path.write_bytes(buffer.getbuffer())


def _header(text: Any) -> dict[str, Any]:
    """Return the header that a text holds.

    Raises:
        ValueError: it is no header of a generator.
    """
    if not isinstance(text, str) or len(text) > Limit.DISTILLED_HEADER_BYTES:
        raise ValueError("its header is no text of a size that bench writes")
    header = parse_json(text)
    if not isinstance(header, dict) or header.get("kind") != GeneratorSet.kind:
        raise ValueError("its header does not describe a generator")
    return header


def _weights(values: Any, file_bytes: int) -> dict[str, Tensor]:
    """Return weights by name.

    Raises:
        ValueError: they are no tensors, or have more values than the file holds. A tensor can be
            one number that is seen a billion times, and networks of its shape would be built.
    """
    if not isinstance(values, Mapping):
        raise ValueError("its weights are not given by name")
    weights: dict[str, Tensor] = {}
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(f"its weight {name!r:.50} is no tensor")
        if value.ndim > Limit.TENSOR_DIMENSIONS:
            raise ValueError(f"{name!r:.50} has {value.ndim:,} dimensions")
        weights[name] = value
    total = sum(each.numel() * each.element_size() for each in weights.values())
    if total > file_bytes:
        raise ValueError(f"its weights have {total:,} bytes, the file {file_bytes:,}")
    return weights
