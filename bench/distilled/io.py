"""Distilled sets on disk: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.errors import BenchError
from bench.store.atomic import replacing

FORMAT = 1
_HEADER = "bench"
_PLAIN = torch.contiguous_format
# No dataset has as many classes, nor images as many pixels a side, nor so large a mean.
_LARGEST = 1_000_000
_KINDS: dict[str, type[DistilledSet]] = {c.kind: c for c in (ImageSet, FactoredSet, GeneratorSet)}


def save(distilled: DistilledSet, path: Path) -> None:
    """Write a distilled set, atomically.

    The file holds the set's tensors and one metadata entry, ``bench``: canonical JSON with the
    format number, the kind, the dataset spec, the configuration and the provenance.
    """
    header = {
        "format": FORMAT,
        "kind": distilled.kind,
        "spec": distilled.spec.to_json(),
        "config": distilled.config(),
        "provenance": distilled.provenance,
    }
    save_tensors(distilled.tensors(), header, path)


def load(path: Path, device: torch.device | str = "cpu") -> DistilledSet:
    """Read a distilled set; nothing in the file is executed.

    Raises:
        BenchError: if the file is not one of ours, is damaged, or is of a newer format.
    """
    tensors, header = load_tensors(path, device)
    if header.get("format") != FORMAT:
        raise BenchError(f"'{path}' has format {header.get('format')!r}; this bench reads {FORMAT}")
    kind = _KINDS.get(str(header.get("kind")))
    if kind is None:
        raise BenchError(f"'{path}' holds a set of unknown kind {header.get('kind')!r}")
    try:
        config, provenance = _table(header, "config"), _table(header, "provenance")
        return kind.from_parts(_spec(_table(header, "spec")), tensors, config, provenance)
    except KeyError as error:
        raise BenchError(f"'{path}' is not a valid {kind.kind} set: it lacks {error}") from error
    except (BenchError, TypeError, ValueError) as error:
        raise BenchError(f"'{path}' is not a valid {kind.kind} set: {error}") from error


def save_tensors(tensors: dict[str, torch.Tensor], header: dict[str, Any], path: Path) -> None:
    """Write tensors and a JSON header as safetensors, atomically."""
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    # Cloned, because safetensors refuses tensors that share memory (tied weights, views).
    plain = {k: v.detach().cpu().clone(memory_format=_PLAIN) for k, v in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, os.fspath(temporary), metadata={_HEADER: text})


def load_tensors(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        BenchError: if the file is absent, truncated, or not ours.
    """
    try:
        with safe_open(os.fspath(path), framework="pt", device=str(device)) as file:
            text = (file.metadata() or {}).get(_HEADER)
            if text is None:
                raise BenchError(f"'{path}' was not written by bench: it has no '{_HEADER}' header")
            header = json.loads(text, parse_constant=_refuse)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise BenchError(f"'{path}' does not exist") from None
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise BenchError(f"'{path}' is not a readable bench file: {error}") from error
    if not isinstance(header, dict):
        raise BenchError(f"'{path}' has a header that is not an object")
    return tensors, header


def _refuse(constant: str) -> float:
    raise ValueError(f"its header holds {constant}")


def _table(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"its header has no {name}")
    return value


def _spec(data: dict[str, Any]) -> DatasetSpec:
    spec = DatasetSpec.from_json(data)
    sizes = (spec.num_classes, *spec.shape)
    if not all(isinstance(size, int) and 1 <= size <= _LARGEST for size in sizes):
        raise ValueError(f"sizes {sizes} of its dataset are not whole numbers from 1 up")
    if not len(spec.mean) == len(spec.std) == spec.channels:
        raise ValueError(f"mean {spec.mean} and std {spec.std} are not one number per channel")
    numbers = (*spec.mean, *spec.std)
    plain = all(isinstance(v, int | float) and abs(v) <= _LARGEST for v in numbers)
    if not plain or min(spec.std) <= 0:
        raise ValueError(f"mean {spec.mean} or std {spec.std} of its dataset cannot normalise")
    return spec
