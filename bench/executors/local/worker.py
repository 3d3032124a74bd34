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
from typing import Any, NoReturn

from bench.executors.remote_cell import RemoteReporter, run_cell
from bench.support.errors import BenchError
from bench.support.stopping import AT_ONCE, Interrupted, Stop, handling, stop_at_once


class PipeStop(Stop):
    """A stop that the run can request, too: by a message, or by its end.

    Args:
        pipe: to the run, which sends nothing else while a cell is computed.
    """

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        super().__init__()
        self._pipe, self._lock = pipe, threading.Lock()

    def reason(self) -> Interrupted | None:
        """Return why it is time to end; ``None`` if work should go on."""
        with self._lock:  # networks that train side by side ask at the same time
            if super().reason() is None and self._pipe.poll():
                self.request(*_receive(self._pipe))
            return super().reason()


def compute_cells(pipe: Connection[Any, Any]) -> NoReturn:
    """Compute cells one after the other until it is time to end.

    Args:
        pipe: gives the site, then cells as ``cell_to_json`` values or a request to stop as
            ``(why, exit_code)``; receives ``(event, *details)``.

    Raises:
        Interrupted: by a signal or the run, or because the run is gone.
    """

    def send(event: str, *details: object) -> None:
        with suppress(OSError):  # the run is gone, which the next message says
            pipe.send((event, *details))

    stop = PipeStop(pipe)
    with stop.catching(), handling([AT_ONCE], stop_at_once):
        site = pipe.recv()
        while True:
            message = _receive(pipe)
            if not isinstance(message, dict):
                stop.request(*message)
            stop.check()
            try:
                send("ended", run_cell(site, message, RemoteReporter(send), stop))
            except BenchError as error:
                send("error", str(error))


def _receive(pipe: Connection[Any, Any]) -> Any:
    """Return the next message; without a run, a request to stop."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return "the run that started this process is gone", 1


def main() -> int:
    """Run a worker on the pipe whose descriptor is the only argument."""
    descriptor, run = int(sys.argv[1]), os.getppid()
    os.set_inheritable(descriptor, False)  # processes of a plugin must not keep the pipe open
    try:
        compute_cells(Connection(descriptor))
    except Interrupted as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        if os.getppid() != run:
            os.killpg(0, signal.SIGKILL)
        for child in multiprocessing.active_children():  # Python would wait for their end
            child.kill()


if __name__ == "__main__":
    sys.exit(main())
