"""Why a cell failed, in a line: what is recorded and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from bench.support.errors import BenchError

# What is said of the size that was asked for: by torch on a CPU, torch on a GPU, NumPy.
_SIZES = (
    re.compile(r"you tried to allocate (\d+) bytes"),
    re.compile(r"Tried to allocate ([\d.]+ \wiB)"),
    re.compile(r"Unable to allocate ([\d.]+ \wiB)"),
)
# Of a reason; the whole of it is in the cell's log.
_LONGEST = 2000
LESS_MEMORY = "a smaller batch, network or --profile, or bf16, needs less"


class CellFailedError(Exception):
    """A cell could not be computed; the message is its recorded reason."""


class UnfitStateError(Exception):
    """A state that was kept is intact, but the code that is to continue from it refuses it."""


@contextmanager
def fitting() -> Iterator[None]:
    """Let a block take over a state that was kept.

    Raises:
        UnfitStateError: whatever went wrong in it; another version of a plugin wrote it, say.
    """
    try:
        yield
    except Exception as error:
        raise UnfitStateError(f"what was kept is refused ({explain(error)})") from error


def explain(error: BaseException) -> str:
    """Return why a cell failed, in one line of bounded length."""
    text = shorten(" ".join(str(error).split()))
    if is_out_of_memory(error):
        return f"out of memory{_asked(text)}: {LESS_MEMORY}"
    if isinstance(error, CellFailedError | BenchError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shorten(text: str) -> str:
    """Cut a reason that nobody would read to its end."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the host or on the device."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    # torch raises a plain RuntimeError where the host's memory runs out.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _asked(text: str) -> str:
    for pattern in _SIZES:
        found = pattern.search(text)
        if found:
            size = found.group(1)
            return f", {_readable(int(size)) if size.isdigit() else size} were asked for"
    return ""


def _readable(size: int) -> str:
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"
