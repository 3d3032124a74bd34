"""Distilled sets on disk: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bench.datasets.checks import check_spec
from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.support.atomic_files import replacing
from bench.support.errors import BenchError
from bench.support.files import host_memory, open_plain
from bench.support.json_files import parse_json

FORMAT = 1
_HEADER = "bench"
_PLAIN = torch.contiguous_format
# Bytes of names, shapes and JSON at the start of a file: thousands of tensors need less.
_MOST_HEADER = 16 * 2**20
# No tensor of ours has more dimensions; a file may claim a hundred thousand of them.
_MOST_DIMENSIONS = 16
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
    except (BenchError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise BenchError(f"'{path}' is not a valid {kind.kind} set: {_told(error)}") from error


def save_tensors(tensors: dict[str, torch.Tensor], header: dict[str, Any], path: Path) -> None:
    """Write tensors and a JSON header as safetensors, atomically.

    Raises:
        OSError: the file cannot be written; ``errno`` says why.
        ValueError: the header is so large that it would not be read again, or holds NaN.
    """
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    if len(text) > _MOST_HEADER // 2:  # its quotes are escaped in the file, names come on top
        raise ValueError(f"a header of {len(text):,} bytes: at most {_MOST_HEADER // 2:,} are kept")
    # Cloned, because safetensors refuses tensors that share memory (tied weights, views).
    plain = {k: v.detach().cpu().clone(memory_format=_PLAIN) for k, v in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(plain, os.fspath(temporary), metadata={_HEADER: text})
        except SafetensorError as error:
            raise _os_error(error) from error


def load_tensors(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        BenchError: if the file is absent, truncated, or not ours.
    """
    try:
        _check_size(path)
        with safe_open(os.fspath(path), framework="pt", device=str(device)) as file:
            text = (file.metadata() or {}).get(_HEADER)
            if text is None:
                raise BenchError(f"'{path}' was not written by bench: it has no '{_HEADER}' header")
            header = parse_json(text)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _check_shapes(tensors)
    except FileNotFoundError:
        raise BenchError(f"'{path}' does not exist") from None
    # RuntimeError: no memory for it. TypeError: a size that torch cannot count up to.
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise BenchError(f"'{path}' is not a readable bench file: {_told(error)}") from error
    if not isinstance(header, dict):
        raise BenchError(f"'{path}' has a header that is not an object")
    return tensors, header


def _os_error(error: SafetensorError) -> OSError:
    """Return what the operating system said: safetensors passes it on as text."""
    found = re.search(r"\((?:os error|Os \{ code:) (\d+)", str(error))
    code = int(found[1]) if found else errno.EIO
    return OSError(code, os.strerror(code) if found else str(error))


def _check_size(path: Path) -> None:
    """Look at a file's size and at what it says of its header, before anything is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no plain file, or larger than this machine or bench can hold.
    """
    with open_plain(path) as file:
        size, header = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
    if header > _MOST_HEADER:
        raise ValueError(f"its header claims {header:,} bytes, at most {_MOST_HEADER:,} are read")
    if size > host_memory():
        raise ValueError(f"its {size:,} bytes are more than this machine's memory")


def _check_shapes(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.ndim > _MOST_DIMENSIONS:
            raise ValueError(f"{name!r:.50} has {tensor.ndim:,} dimensions")


def _told(error: Exception) -> str:
    """Return an error's first line: torch adds where in its own sources it was raised."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:500]


def _table(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"its header has no {name}")
    return value


def _spec(data: dict[str, Any]) -> DatasetSpec:
    spec = DatasetSpec.from_json(data)
    check_spec(spec)
    return spec
