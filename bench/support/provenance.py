"""Where a number comes from beside its machine: the code's commit, the command that asked for it.

Known once per process; a process that computes for another is told the other's command line.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

_SECONDS = 10
_told: list[str] = []


def command_line() -> str:
    """Return the command line that asked for this work, as one would type it."""
    if _told:
        return _told[-1]
    program = Path(sys.argv[0])
    ours = program.name == "bench" or program == Path(__file__).parents[1] / "__main__.py"
    return shlex.join(["bench" if ours else sys.argv[0], *sys.argv[1:]])


def tell_command_line(command: str) -> None:
    """Work for somebody else's command line from now on."""
    _told[:] = [command]


@cache
def git_state() -> tuple[str, bool] | None:
    """Return the commit that bench runs from and whether files differ from it.

    ``None`` where bench is not a checkout of its own repository (installed from a package, say),
    or git cannot tell.
    """
    return git_state_of(Path(__file__).parents[2])


def git_state_of(root: Path) -> tuple[str, bool] | None:
    """Return a checkout's commit and whether tracked files differ from it, or ``None``."""
    if not (root / ".git").exists():
        return None
    # One process; and it must not take the lock that a commit in another terminal needs.
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch",
               "--untracked-files=no"]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commits = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    if not commits or commits[0] == "(initial)":
        return None
    return commits[0], any(not line.startswith("#") for line in lines)
