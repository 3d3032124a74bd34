"""A worker process: computes the cells that it is handed and tells what happens.

Started by :mod:`bench.executors.local_process` with one end of a pipe. It ends, after a checkpoint,
when it is told to, when a signal comes, and when the other end of the pipe is gone: a run that was
killed leaves no process behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from bench.executors.remote_cell import run_cell
from bench.executors.remote_reporter import RemoteReporter
from bench.support.errors import BenchError
from bench.support.stopping import AT_ONCE, Interrupted, Stop, handling

# Seconds between two looks at a running loop that are told.
_TELL_EVERY = 0.2


class Worker:
    """Computes cells one after the other until it is told to end.

    Args:
        connection: gives the site, then cells; receives ``(event, *details)``.
    """

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection, self._stop = connection, Stop()
        self._cells: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def run(self) -> None:
        """Do so.

        Raises:
            Interrupted: by a signal, or the run is gone.
        """
        with self._stop.catching(), handling([AT_ONCE], signal.default_int_handler):
            site_text = self._connection.recv()
            self.tell("ready")
            threading.Thread(target=self._listen, daemon=True).start()
            while (cell_values := self._cells.get()) is not None:
                self._stop.check()
                self._compute(site_text, cell_values)

    def tell(self, event: str, *details: Any) -> None:
        """Tell the run something; if that is gone, nobody listens."""
        with suppress(OSError):
            self._connection.send((event, *details))

    def _compute(self, site_text: str, cell_values: dict[str, Any]) -> None:
        try:
            run_cell(site_text, cell_values, RemoteReporter(self.tell, _TELL_EVERY), self._stop)
        except BenchError as error:
            self.tell("error", str(error))
        else:
            self.tell("done")

    def _listen(self) -> None:
        try:
            while True:
                order, *details = self._connection.recv()
                if order == "stop":
                    self._stop.request(*details)
                else:
                    self._cells.put(*details)
        except (EOFError, OSError):
            self._stop.request("the run that started this process is gone", 1)
            self._cells.put(None)


def main() -> int:
    """Run a worker on the pipe whose descriptor is the only argument."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # what a plugin starts must not keep the pipe open
    try:
        Worker(Connection(descriptor)).run()
    except Interrupted as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
