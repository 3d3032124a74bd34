"""The program of a worker process: computes the cells that it receives and sends events.

:mod:`bench.executors.local.process` starts it with one end of a pipe. It saves a checkpoint and
ends when the run asks for it, when a signal comes, and when the other end of the pipe is closed: a
killed run leaves no process behind. The run ends the processes that a plugin has started in the
worker; without a run, the worker does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from bench.executors.remote_cell import RemoteReporter, run_cell
from bench.support.errors import BenchError
from bench.support.stopping import AT_ONCE, Interrupted, Stop, handling, stop_at_once


class Worker:
    """Computes cells one after the other until it must end.

    Args:
        connection: gives the site, then cells as ``cell_to_json`` values or a request to stop as
            ``(why, exit_code)``; receives ``(event, *details)``.

    Attributes:
        has_run: whether the run that started this process is still there.
    """

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection, self._stop = connection, Stop()
        self.has_run = True
        self._cells: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def run(self) -> None:
        """Compute cells until a stop is requested.

        Raises:
            Interrupted: by a signal or the run, or because the run is gone.
        """
        with self._stop.catching(), handling([AT_ONCE], stop_at_once):
            site_text = self._connection.recv()
            threading.Thread(target=self._receive, daemon=True).start()
            while (cell_values := self._cells.get()) is not None:
                self._stop.check()
                self._compute(site_text, cell_values)

    def _compute(self, site_text: str, cell_values: dict[str, Any]) -> None:
        reporter = RemoteReporter(self._send)
        try:
            self._send("ended", run_cell(site_text, cell_values, reporter, self._stop))
        except BenchError as error:
            self._send("error", str(error))

    def _receive(self) -> None:
        """Receive cells and requests while the main thread computes."""
        try:
            while isinstance(message := self._connection.recv(), dict):
                self._cells.put(message)
        except (EOFError, OSError):
            message, self.has_run = ("the run that started this process is gone", 1), False
        self._stop.request(*message)
        self._cells.put(None)

    def _send(self, event: str, *details: object) -> None:
        with suppress(OSError):  # the run is gone, which _receive notices
            self._connection.send((event, *details))


def main() -> int:
    """Run a worker on the pipe whose descriptor is the only argument."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # processes of a plugin must not keep the pipe open
    worker = Worker(Connection(descriptor))
    try:
        worker.run()
    except Interrupted as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        if not worker.has_run:
            os.killpg(0, signal.SIGKILL)
        for child in multiprocessing.active_children():  # Python would wait for their end
            child.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
