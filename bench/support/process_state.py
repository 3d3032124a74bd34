"""Process-wide state that a plugin can change: read before its cell, restored after it.

Every change is named, so that it can be reported against the plugin that made it.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from bench.support.import_effects import watching_imports
from bench.support.process_settings import settings
from bench.support.replaced_code import read_code, restore_code

# What libraries change when they are first imported; named only if other code changed it.
_BY_IMPORTS = ("environment variables", "the filters of warnings", "Python's random state")


@contextmanager
def kept() -> Iterator[list[str]]:
    """Restore all process-wide state after the block.

    What is printed to standard output inside goes to standard error, which no program reads.

    Yields:
        A list that is filled when the block ends, also by an exception: what had been changed.
    """
    changes: list[str] = []
    with _streams_kept():
        watched = settings()
        before = [(each, each.read()) for each in watched]
        by_imports = {each.name: each.read for each in watched if each.name in _BY_IMPORTS}
        with _no_exit(), watching_imports(by_imports) as imports:
            code, threads = read_code(), set(threading.enumerate())
            try:
                yield changes
            finally:
                for setting, value in before:
                    if setting.read() != value:
                        if imports.changed_otherwise(setting.name):
                            changes.append(setting.name)
                        setting.restore(value)
                changes += restore_code(code)
                if left := [t for t in threading.enumerate() if t not in threads and _own(t)]:
                    changes.append(f"threads that still run ({', '.join(t.name for t in left)})")


def _own(thread: threading.Thread) -> bool:
    """Return whether a plugin started a thread, and not the live view or the engine."""
    return thread.is_alive() and not type(thread).__module__.startswith(("rich", "bench", "tqdm"))


@contextmanager
def _no_exit() -> Iterator[None]:
    """Let ``os._exit`` raise SystemExit in this process, so that it ends a cell and not a run."""
    leave, process = os._exit, os.getpid()

    def refuse(code: int) -> NoReturn:
        if os.getpid() != process:  # a forked child ends this way
            leave(code)
        raise SystemExit(f"os._exit({code})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave


@contextmanager
def _streams_kept() -> Iterator[None]:
    """Send standard output to standard error inside the block; open again what it closed."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    _flush()
    saved = {}
    for number in (1, 2):
        with suppress(OSError):  # a daemon may have none
            saved[number] = os.dup(number)
    if len(saved) == 2:
        os.dup2(2, 1)
    sys.stdout = _Aside()
    try:
        yield
    finally:
        _flush()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            if stream is not None and stream.closed else stream
            for number, stream in enumerate(streams)
        )  # fmt: skip


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


class _Aside(io.TextIOBase):
    """Text that goes to standard error; closing it closes nothing."""

    def write(self, text: str) -> int:
        """Write it to what standard error is now."""
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
        return len(text)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor that programs are given."""
        return 2
