"""The compiled kernels: compiled when they are first needed, stored for later processes, called.

Without a C++ compiler nothing is lost but speed: the caller gets the reason and uses PyTorch.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import torch
from torch import Tensor

from bench.networks.cpu_kernels.cache import cached
from bench.networks.cpu_kernels.compiler import (
    choose_compiler,
    compile_kernels,
    compiler_command,
    fingerprint,
)

# Set to 0, kernels are neither compiled nor used.
_SWITCH = "BENCH_NATIVE"
# The dtypes of maps that kernels are compiled for, with what their names end in.
DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

_building = Lock()


@dataclass(frozen=True)
class Library:
    """The compiled kernels, or the reason why there are none.

    Attributes:
        kernels: the opened library.
        reason: why there is none.
        remarks: what is wrong with stored kernels, a sentence each.
    """

    kernels: ctypes.CDLL | None
    reason: str = ""
    remarks: tuple[str, ...] = ()


def library() -> Library:
    """Return the kernels, compiled for this processor; the same object every time."""
    with _building:  # two threads must not compile at once
        return loaded_once()


def prepare_kernels() -> None:
    """Have the kernels compiled beside what this process does until it needs them.

    Compiling takes some seconds, the first time on a machine; whatever needs the kernels earlier
    waits for it. A time limit then ends the waiting, not the compiling.
    """
    if not loaded_once.cache_info().currsize:
        Thread(target=library, name="kernels", daemon=True).start()


def kernels_are_expected() -> bool:
    """Return whether there are kernels, or will be if they compile; nothing is waited for."""
    if loaded_once.cache_info().currsize:
        return loaded_once().kernels is not None
    return not _hindrance()


def describe_kernels() -> str:
    """Return what networks are computed with, for records: ``native``, or why PyTorch alone."""
    compiled = library()
    return "native" if compiled.kernels is not None else f"torch ({compiled.reason})"


def kernel_remarks() -> tuple[str, ...]:
    """Return what is wrong with the stored kernels, as this process found them."""
    return library().remarks


def kernel_of(kernels: ctypes.CDLL, name: str, dtype: torch.dtype) -> Any:
    """Return the kernel of a name for maps of one of :data:`DTYPES`."""
    return getattr(kernels, f"{name}_{DTYPES[dtype]}")


def pointers(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    """Return where the elements of contiguous tensors lie; the caller keeps the tensors alive."""
    return [ctypes.c_void_p(None if t is None else t.data_ptr()) for t in tensors]


def sizes(*values: int) -> list[ctypes.c_int64]:
    """Return sizes in the type that the kernels take."""
    return [ctypes.c_int64(value) for value in values]


@cache
def loaded_once() -> Library:
    """Return the kernels as :func:`load_library` found them when this process first asked."""
    return load_library()


def load_library() -> Library:
    """Return the kernels as they are now: compiled if need be, and opened."""
    hindrance, compiler = _hindrance(), choose_compiler()
    if hindrance or compiler is None:
        return Library(None, hindrance)
    remarks: list[str] = []
    try:
        command = compiler_command(compiler)
        image = cached(fingerprint(command), partial(_checked, command), remarks.append)
        return Library(_open(image), remarks=tuple(remarks))
    except subprocess.CalledProcessError as error:
        reason = f"{compiler} failed: {error.stderr.strip()[-300:]}"
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    return Library(None, reason, tuple(remarks))


def _hindrance() -> str:
    """Return why there can be no kernels, as known before they are compiled; empty if they can."""
    if os.environ.get(_SWITCH) == "0":
        return f"{_SWITCH}=0"
    return "" if choose_compiler() is not None else "no C++ compiler found"


def _checked(command: list[str]) -> bytes:
    """Compile the kernels; raise an error if the result cannot be opened, so it is not stored."""
    image = compile_kernels(command)
    _open(image)
    return image


def _open(image: bytes) -> ctypes.CDLL:
    """Open a private copy: exactly these bytes, whatever happens to the file they come from.

    Raises:
        OSError: they are no shared library.
    """
    with suppress(AttributeError, OSError):  # not on Linux, or not allowed there
        # It stays open: the loader takes two libraries of one path for the same.
        descriptor = os.memfd_create("distillation-bench-kernels")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(image)
            return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
        except OSError:
            os.close(descriptor)
    with tempfile.TemporaryDirectory(prefix="distillation-bench-") as folder:
        path = Path(folder) / "kernels.so"
        path.write_bytes(image)
        return ctypes.CDLL(str(path))
