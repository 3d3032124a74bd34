"""A small disk of its own: a tmpfs, where this user may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a disk on ``folder``; skips the test where that is not allowed."""
    folder.mkdir()
    _mount_or_skip("-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Let no one write to a small disk any more, not even root."""
    _mount_or_skip("-o", "remount,ro", str(folder))


def fill(folder: Path, leaving: int = 0) -> Path:
    """Fill a disk but for so many KiB; return the file that does."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            size = file.tell()
        file.truncate(max(0, size - 1024 * leaving))
    return path


def _mount_or_skip(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs mount")
    if done.returncode:
        pytest.skip(f"this user cannot mount a disk: {done.stderr.strip()}")
