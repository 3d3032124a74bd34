"""One worker process, seen from the run that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any

from bench.executors.local_slots import Slot
from bench.ledger.cell import Cell, cell_to_json
from bench.support.stopping import AT_ONCE

# Of what a worker prints while it computes a cell, this much goes to the cell's log.
_MOST_OUTPUT = 64 * 1024


class WorkerProcess:
    """A process of its own session (Ctrl-C does not reach it), which computes one cell at a time.

    Args:
        slot: where it computes.

    Attributes:
        connection: gives its events.
        cell: what it computes now.
        ready: whether it has come so far as to compute anything.
    """

    def __init__(self, slot: Slot) -> None:
        self.cell: Cell | None = None
        self.ready = False
        self._since = time.perf_counter()
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                # -P and the path: what this process imports, it imports.
                [sys.executable, "-P", "-m", "bench.executors.local_worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()], start_new_session=True,
                env={**os.environ, "PYTHONPATH": _path(), **slot.environment},
            )  # fmt: skip
        self._send(slot.site_text)

    def give(self, cell: Cell) -> None:
        """Have a cell computed."""
        self.cell, self._since = cell, time.perf_counter()
        self._send(("cell", cell_to_json(cell)))

    def stop(self, why: str, exit_code: int) -> None:
        """Have it keep a checkpoint after this step, and end."""
        self._send(("stop", why, exit_code))
        self._send(("cell", None))

    def seconds(self) -> float:
        """Return how long it has had its cell."""
        return time.perf_counter() - self._since

    def take_output(self) -> str:
        """Return the last of what it printed since the last call."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - _MOST_OUTPUT))
        text = self._output.read().decode("utf-8", "backslashreplace")
        self._output.truncate(0)
        return text

    def interrupt(self) -> None:
        """Have it end in the middle of a step."""
        self._process.send_signal(AT_ONCE)

    def end(self, patience: float) -> int:
        """Have it end, wait, and return its exit code; negative for a signal.

        Args:
            patience: seconds until it is killed.
        """
        self.connection.close()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._output.close()

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # it died: its end of the pipe tells that
            self.connection.send(message)


def _path() -> str:
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)
