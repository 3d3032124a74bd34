"""Files of tensors that other programs wrote: ``.pt``, ``.npz`` and ``.safetensors``.

Nothing in a file is executed, and nothing is allocated that the file itself does not justify.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.datasets.npz_file import array_names, read_arrays
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, check_fits_memory, header_length, open_plain

_REFUSED = (
    "'{path}' holds Python objects, which bench never loads ({why}). Where you trust the file, "
    "load it with its own code and save plain tensors: "
    "torch.save({{'images': images, 'labels': labels}}, 'set.pt')"
)


def read_pt(path: Path) -> Any:
    """Return what ``torch.save`` wrote: nested lists and dictionaries of tensors and numbers.

    Args:
        path: a file in either of torch's formats.

    Raises:
        BenchError: the file cannot be read, would unpack to more than this machine's memory, or
            holds anything but tensors, numbers and texts.
    """
    try:
        with open_plain(path) as file:
            _check_archive(file)
            with _numpy_scalars(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old formats; what cannot be read is an error
                return _plain(torch.load(file, map_location="cpu", weights_only=True))
    except BenchError:
        raise
    except pickle.UnpicklingError as error:
        raise BenchError(_REFUSED.format(path=path, why=_reason(str(error)))) from None
    except OSError as error:
        # Of a file that was cut, torch seeks beyond the end: an error that names no file.
        reason = error.strerror if error.filename else "it is damaged, or ends early"
        raise BenchError(f"'{path}' cannot be read: {reason}") from error
    # On damaged files torch raises exceptions of many types.
    except Exception as error:
        raise BenchError(f"'{path}' is not a whole .pt file: {_first_line(error)}") from error


def read_npz_tensors(path: Path) -> dict[str, Tensor]:
    """Return every numeric array of an ``.npz`` as a tensor.

    Raises:
        BenchError: the archive cannot be read, or an array is too large or of Python objects.
    """
    arrays = read_arrays(path, array_names(path))
    return {name: _tensor(array, f"{name} in '{path}'") for name, array in arrays.items()}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file.

    Raises:
        BenchError: the file cannot be read, or is damaged.
    """
    try:
        with open_plain(path) as file:
            header_length(file, Limit.DISTILLED_HEADER_BYTES)
            check_fits_memory(os.fstat(file.fileno()).st_size)
        with safe_open(os.fspath(path), framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise BenchError(
            f"'{path}' is not a readable .safetensors file: {_first_line(error)}"
        ) from error


def _tensor(array: np.ndarray[Any, Any], label: str) -> Tensor:
    try:
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.ascontiguousarray(native))
    except TypeError:
        raise BenchError(f"{label} is {array.dtype}: expected numbers") from None


def _plain(value: Any) -> Any:
    """Return a value with its tensors detached; there are only dense ones of plain numbers.

    Raises:
        ValueError: it holds a sparse, quantised or nested tensor, or one without values.
    """
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, Tensor):
        return value
    dense = value.layout == torch.strided and not (value.is_nested or value.is_quantized)
    if not dense or value.device.type != "cpu":
        kind = "without values" if value.device.type == "meta" else "that is sparse or quantised"
        raise ValueError(f"it holds a tensor {kind}: save plain, dense ones")
    return value.detach()


def _check_archive(file: BinaryIO) -> None:
    """Raise ``ValueError`` for an archive that is damaged or too large; rewind the file.

    An archive is too large if it unpacks to more than the memory. Its checksums, which torch does
    not look at, tell damaged numbers from whole ones; files of torch before 1.6 have none.
    """
    check_fits_memory(os.fstat(file.fileno()).st_size)
    if zipfile.is_zipfile(file):
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            check_fits_memory(sum(info.file_size for info in archive.infolist()))
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"it is damaged: the checksum of {damaged!r:.100} in it is wrong")
    file.seek(0)


@contextmanager
def _numpy_scalars() -> Iterator[None]:
    """Let torch load NumPy's numbers: published files hold accuracies beside the images."""
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    allowed: list[Any] = [(scalar, name) for name in names]
    allowed += [np.dtype, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}]
    with torch.serialization.safe_globals(allowed):
        yield


def _reason(text: str) -> str:
    """Return why torch refused a file, without its advice to load such files all the same."""
    named = re.search(r"unsupported global:? (?:GLOBAL )?([\w.]+)", text, re.IGNORECASE)
    return f"it names {named[1]}" if named else "torch refuses it with weights_only=True"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
