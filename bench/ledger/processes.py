"""Which process is which: a process is known by its kernel, process table, number and start.

A host name says nothing of these: a restarted container has another one, and two containers on one
machine, each with a process table of its own, can have the same one.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
MACHINE_ID = Path("/etc/machine-id")
# What container engines leave in every container, as far as they leave anything.
_CONTAINER_MARKS = tuple(
    map(Path, ("/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/.singularity.d"))
)
# States that Linux gives to a process that ended and whose parent has not noticed it yet.
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """A running process of this machine; numbers are given out again, starting times are not.

    Attributes:
        pid: its number.
        started: when it started, in ticks since the machine did; ``None`` where unknown.
    """

    pid: int
    started: int | None


@cache
def kernel_id() -> str:
    """Return what names this start of this machine; containers on one machine share it."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        # Other systems have no containers that share a kernel. A Linux that hides it may be in one.
        return "" if sys.platform == "linux" else f"{uuid.getnode():x}"


@cache
def machine_id() -> str:
    """Return what names this machine whatever the start; empty where that is not certain.

    It is the machine's own number with its host name: machines that were set up from one image can
    share the number. In a container the number is the image's, and says nothing.
    """
    if any(mark.exists() for mark in _CONTAINER_MARKS) or "container" in os.environ:
        return ""
    try:
        number = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    named = re.fullmatch("[0-9a-f]{32}", number) is not None
    return f"{number} {socket.gethostname()}" if named else ""


def process_table_id() -> str:
    """Return what names the process table that this process sees; empty where it is not known."""
    if sys.platform != "linux":
        return "the only one"
    try:
        # A process in a new table can still see the folder of the former one.
        if os.readlink(PROC / "self") != str(os.getpid()):
            return ""
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""


def find_process(pid: int) -> Process | None:
    """Return the process that runs under a number in this process table; ``None`` if none does."""
    if pid < 1:
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        pass
    except (ProcessLookupError, OverflowError):
        return None
    state, started = _read_stat(pid)
    return None if state in _ENDED else Process(pid, started)


def _read_stat(pid: int) -> tuple[str, int | None]:
    """Return the state and start of a process, as far as the system says."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", None
    words = text.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return (words[0], int(words[19])) if len(words) > 19 and words[19].isdecimal() else ("", None)
