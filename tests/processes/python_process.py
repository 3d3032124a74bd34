"""Another process that runs a few lines of Python until the test ends it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes.wait_until import wait_until

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc (Linux)")
WAIT = "print('waiting', flush=True); sys.stdin.read()"


@contextmanager
def python_process(
    code: str = WAIT, *arguments: object, through: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run code in another process inside the block; yield it after its first line of output.

    Args:
        code: prints a line when it is ready; ``sys`` is imported.
        arguments: strings that the code finds in ``sys.argv[1:]``.
        through: a command that starts it, ``unshare`` for instance.
    """
    process = subprocess.Popen(
        [*through, sys.executable, "-c", f"import sys\n{code}", *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()  # before its input ends, which it would notice
        process.communicate()


def kill_unnoticed(process: subprocess.Popen[str]) -> None:
    """Kill a process and leave it a zombie: its parent, this process, does not look."""
    process.kill()
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until("it is a zombie", lambda: stat.read_text().rpartition(") ")[2][0] == "Z")


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    with python_process() as process:
        return process.pid
