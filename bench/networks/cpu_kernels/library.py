"""The compiled kernels: built when they are first needed, stored for later processes, and called.

Without a C++ compiler nothing is lost but speed: the caller gets the reason and uses PyTorch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from platformdirs import user_cache_path
from torch import Tensor

_SOURCES = ("winograd.cpp", "block.cpp", "columns.cpp")
_HEADERS = ("common.h", "lanes.h", "schemes.h")
# Sums may be reordered, which lets the compiler use vectors; NaN and infinity stay what they are.
_FLAGS = (
    "-O3", "-std=c++17", "-shared", "-fPIC", "-pthread",
    "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno",
)  # fmt: skip
COMPILERS = ("c++", "g++", "clang++")
# Set to 0, kernels are neither compiled nor used.
_SWITCH = "BENCH_NATIVE"
_SECONDS = 120

_building = Lock()


@dataclass(frozen=True)
class Library:
    """The compiled kernels, or the reason why there are none."""

    kernels: ctypes.CDLL | None
    reason: str = ""


def library() -> Library:
    """Return the kernels, compiled for this processor; the same object every time."""
    with _building:  # two threads must not compile at once
        return _loaded_once()


def describe_kernels() -> str:
    """Return what networks are computed with, for records: ``native``, or why PyTorch alone."""
    compiled = library()
    return "native" if compiled.kernels is not None else f"torch ({compiled.reason})"


def pointers(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    """Return where the elements of contiguous tensors lie; the caller keeps the tensors alive."""
    return [ctypes.c_void_p(None if t is None else t.data_ptr()) for t in tensors]


def sizes(*values: int) -> list[ctypes.c_int64]:
    """Return sizes in the type that the kernels take."""
    return [ctypes.c_int64(value) for value in values]


@cache
def _loaded_once() -> Library:
    return load_library()


def load_library() -> Library:
    """Return the kernels as they are now: compiled if need be, and opened."""
    if os.environ.get(_SWITCH) == "0":
        return Library(None, f"{_SWITCH}=0")
    compiler = os.environ.get("CXX") or default_compiler()
    if compiler is None:
        return Library(None, "no C++ compiler found")
    try:
        return Library(ctypes.CDLL(str(compiled(compiler))))
    except subprocess.CalledProcessError as error:
        return Library(None, f"{compiler} failed: {error.stderr.strip()[-300:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Library(None, str(error))


def default_compiler() -> str | None:
    """Return the first C++ compiler that this machine has, or ``None``."""
    return next(filter(shutil.which, COMPILERS), None)


def compiled(compiler: str) -> Path:
    """Return the shared library, compiled now unless an earlier process has done it.

    Args:
        compiler: its command, with options if need be.

    Raises:
        subprocess.CalledProcessError: it failed.
        subprocess.TimeoutExpired: it takes too long.
        OSError: it cannot be started, or its output cannot be stored.
    """
    folder = Path(__file__).parent
    # Vectors as wide as this processor has; elsewhere the compiler's default is as wide already.
    native = ["-march=native"] if platform.machine() in ("x86_64", "AMD64") else []
    command = [*shlex.split(compiler), *_FLAGS, *native]
    target = _cache_folder() / f"{_fingerprint(folder, command)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            output = Path(scratch) / "kernels.so"
            sources = [str(folder / name) for name in _SOURCES]
            subprocess.run(
                [*command, *sources, "-o", str(output)],
                check=True, capture_output=True, text=True, timeout=_SECONDS,
            )  # fmt: skip
            os.replace(output, target)
    return target


def _cache_folder() -> Path:
    folder = user_cache_path("distillation-bench") / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="distillation-bench-"))


def _fingerprint(folder: Path, command: list[str]) -> str:
    """Return a hash of all that the library depends on: sources, options, compiler, processor."""
    version = subprocess.run(
        [command[0], "--version"], check=True, capture_output=True, text=True, timeout=_SECONDS
    )
    digest = hashlib.sha256()
    for part in (*command, version.stdout, platform.machine(), processor_features()):
        digest.update(part.encode() + b"\0")
    for name in (*_SOURCES, *_HEADERS):
        digest.update((folder / name).read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def processor_features() -> str:
    """Return the features of the processor, as the operating system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), "")
