"""The standard output of a command, which can be a full disk or a pipe that was closed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# What a write to a full disk, or to one that fails, raises. Files of bench name themselves in
# errors; standard output has no name.
_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def complete_output() -> Iterator[None]:
    """End the process with exit code 1 and a message if its output could not be written.

    A reader that closes a pipe has read what it wanted: the process ends without a message.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in _LOST:
            raise
        _discard_output()
        with suppress(OSError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(1)


def writes_to_terminal() -> bool:
    """Return whether standard output is a terminal; a process can also have none at all."""
    return sys.stdout is not None and sys.stdout.isatty()


def _discard_output() -> None:
    """Let what is still buffered go nowhere: Python writes it once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
