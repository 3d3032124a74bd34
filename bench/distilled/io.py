"""Files of distilled sets: safetensors with a JSON header, never pickle."""

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

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.distilled.real_stream_set import RealStreamSet
from bench.support.atomic_files import replacing
from bench.support.errors import BenchError
from bench.support.strict_json import parse_json
from bench.support.untrusted import Limit, check_fits_memory, header_length, open_plain

FORMAT = 1
# The key of safetensors' metadata under which the JSON header is stored.
_HEADER = "bench"
_PLAIN = torch.contiguous_format
_KINDS: dict[str, type[DistilledSet]] = {
    c.kind: c for c in (ImageSet, FactoredSet, GeneratorSet, RealStreamSet)
}


def save(distilled: DistilledSet, path: Path) -> None:
    """Write a distilled set, atomically.

    The file holds the set's tensors and one metadata entry, ``bench``: canonical JSON with the
    format number, the kind, the dataset spec, the configuration and the provenance.
    """
    save_tensors(distilled.tensors(), header_of(distilled), path)


def header_of(distilled: DistilledSet) -> dict[str, Any]:
    """Return what a file says of a set beside its tensors, as plain JSON values."""
    return {
        "format": FORMAT,
        "kind": distilled.kind,
        "spec": distilled.spec.to_json(),
        "config": distilled.config(),
        "provenance": distilled.provenance,
    }


def load(path: Path, device: torch.device | str = "cpu") -> DistilledSet:
    """Read a distilled set; nothing in the file is executed.

    Raises:
        BenchError: the file does not exist, was not written by bench, is damaged, or has a newer
            format.
    """
    return assemble(*load_tensors(path, device), path)


def assemble(tensors: dict[str, torch.Tensor], header: dict[str, Any], path: Path) -> DistilledSet:
    """Return the set of tensors and the header that :func:`header_of` made.

    Args:
        tensors: of the set.
        header: of the file.
        path: the file, for messages.

    Raises:
        BenchError: they do not fit together, or the format is newer.
    """
    if header.get("format") != FORMAT:
        raise BenchError(f"'{path}' has format {header.get('format')!r}; this bench reads {FORMAT}")
    kind = _KINDS.get(str(header.get("kind")))
    if kind is None:
        raise BenchError(f"'{path}' holds a set of unknown kind {header.get('kind')!r}")
    try:
        config, provenance = _table(header, "config"), _table(header, "provenance")
        spec = DatasetSpec.from_json(_table(header, "spec"))
        return kind.from_parts(spec, tensors, config, provenance)
    except KeyError as error:
        raise BenchError(f"'{path}' is not a valid {kind.kind} set: it lacks {error}") from error
    except (BenchError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise BenchError(
            f"'{path}' is not a valid {kind.kind} set: {_first_line(error)}"
        ) from error


def is_distilled_file(path: Path) -> bool:
    """Return whether bench wrote a file of tensors, by its header; the rest is not read."""
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    try:
        _check_size(path)
        with safe_open(os.fspath(path), framework="pt") as file:
            return _HEADER in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError):
        return False


def save_tensors(tensors: dict[str, torch.Tensor], header: dict[str, Any], path: Path) -> None:
    """Write tensors and a JSON header as safetensors, atomically.

    Raises:
        OSError: the file cannot be written; ``errno`` says why.
        ValueError: the header is too large to be read again, or holds NaN.
    """
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    # Half the limit, because the file escapes the quotes of the text and adds names and shapes.
    limit = Limit.DISTILLED_HEADER_BYTES // 2
    if len(text) > limit:
        raise ValueError(f"a header of {len(text):,} bytes: at most {limit:,} are written")
    # Cloned, because safetensors does not accept tensors that share memory (tied weights, views).
    plain = {k: v.detach().cpu().clone(memory_format=_PLAIN) for k, v in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(plain, os.fspath(temporary), metadata={_HEADER: text})
        except SafetensorError as error:
            raise _os_error(error) from error


def load_tensors(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors and the header that :func:`save_tensors` wrote.

    Raises:
        BenchError: the file does not exist, is damaged, or was not written by bench.
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
    # RuntimeError: the memory does not suffice. TypeError: a size overflows torch's integers.
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise BenchError(f"'{path}' is not a readable bench file: {_first_line(error)}") from error
    if not isinstance(header, dict):
        raise BenchError(f"'{path}' has a header that is not an object")
    return tensors, header


def _os_error(error: SafetensorError) -> OSError:
    """Return the operating system's error, which safetensors passes on as text."""
    number = re.search(r"\((?:os error|Os \{ code:) (\d+)", str(error))
    code = int(number[1]) if number else errno.EIO
    return OSError(code, os.strerror(code) if number else str(error))


def _check_size(path: Path) -> None:
    """Check the size of a file and of its header before safetensors maps it into memory.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a plain file, or is too large.
    """
    with open_plain(path) as file:
        header_length(file, Limit.DISTILLED_HEADER_BYTES)
        check_fits_memory(os.fstat(file.fileno()).st_size)


def _check_shapes(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise ``ValueError`` for too many dimensions: a file can claim a million of size 1."""
    for name, tensor in tensors.items():
        if tensor.ndim > Limit.TENSOR_DIMENSIONS:
            raise ValueError(f"{name!r:.50} has {tensor.ndim:,} dimensions")


def _first_line(error: Exception) -> str:
    """Return the first line of an error; torch appends a trace of its own sources."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:500]


def _table(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"its header has no {name}")
    return value
