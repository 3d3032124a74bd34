"""Reasons why cells fail, as one line for records and tables."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bench.support.errors import BenchError
from bench.support.untrusted import Limit

# How messages name the requested size: torch on a CPU, torch on a GPU, NumPy.
_SIZES = (
    re.compile(r"you tried to allocate (\d+) bytes"),
    re.compile(r"Tried to allocate ([\d.]+ \wiB)"),
    re.compile(r"Unable to allocate ([\d.]+ \wiB)"),
)
LESS_MEMORY = "a smaller batch, network or --profile, or bf16, needs less"


class CellFailedError(Exception):
    """A cell cannot be computed; the message is the reason to record."""


class UnfitStateError(Exception):
    """A checkpoint is intact, but the code that should resume from it does not accept it."""


@contextmanager
def fitting() -> Iterator[None]:
    """Turn any exception in the block, which loads a checkpoint, into one error.

    Raises:
        UnfitStateError: the block failed; another version of a plugin wrote the state, for example.
    """
    try:
        yield
    except Exception as error:
        raise UnfitStateError(f"the checkpoint does not fit ({explain(error)})") from error


def explain(error: BaseException) -> str:
    """Return why a cell failed, in one line of limited length."""
    text = shorten(" ".join(str(error).split()))
    if is_out_of_memory(error):
        return f"out of memory{_requested(text)}: {LESS_MEMORY}"
    if isinstance(error, CellFailedError | BenchError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shorten(text: str) -> str:
    """Return a reason, cut if it is too long for a record."""
    return text if len(text) <= Limit.REASON_LETTERS else f"{text[: Limit.REASON_LETTERS]} ..."


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the host or on the device."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    # torch raises a plain RuntimeError when host memory runs out.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def describe_death(code: int) -> str:
    """Return in words how a process ended.

    Args:
        code: its exit code; the negative number of the signal that killed it, if one did.
    """
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have no name
        name = f"signal {-code}"
    hint = f", as the system does when memory runs out: {LESS_MEMORY}"
    return f"its process was killed by {name}{hint if -code == signal.SIGKILL else ''}"


def _requested(text: str) -> str:
    """Return how much memory was requested, as a clause; empty if the message does not say."""
    for pattern in _SIZES:
        match = pattern.search(text)
        if match:
            size = match.group(1)
            return f", {readable_bytes(int(size)) if size.isdigit() else size} were asked for"
    return ""


def readable_bytes(size: int) -> str:
    """Return a number of bytes as users read it: ``38.65 GiB``."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"
