"""A worker process, as the run that started it sees it, and its share of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any

from bench.grid.site import Site
from bench.ledger.cell import Cell
from bench.ledger.cell_json import cell_to_json
from bench.support.machine import visible_gpus
from bench.support.stopping import AT_ONCE
from bench.support.untrusted import Limit

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Slot:
    """Where a worker process computes: the site as it receives it, and variables to start with."""

    site: Site
    environment: dict[str, str]


def divide(site: Site, device: torch.device, workers: int) -> list[Slot]:
    """Return a slot for each worker: a GPU, which some may share, or a part of the cores.

    Args:
        site: the site of the run.
        device: the device that the site names, on this machine.
        workers: how many processes compute at the same time.
    """
    import torch

    threads = site.threads or max(1, torch.get_num_threads() // workers)
    # torch starts with this number, and other libraries too. The site says what the user asks for.
    environment = {"OMP_NUM_THREADS": str(threads)}
    gpus = visible_gpus(device)
    seen = site if not gpus else replace(site, device="cuda")
    names = [{"CUDA_VISIBLE_DEVICES": name} for name in gpus] or [{}]
    return [Slot(seen, environment | names[i % len(names)]) for i in range(workers)]


def describe_division(slots: Sequence[Slot], device: torch.device) -> str | None:
    """Say how many threads a process has where that follows from the number of workers.

    Returns:
        A sentence; ``None`` where the user named the number, or the workers do not change it.
    """
    import torch

    threads, alone = slots[0].environment["OMP_NUM_THREADS"], torch.get_num_threads()
    if slots[0].site.threads is not None or device.type != "cpu" or int(threads) == alone:
        return None
    return (
        f"{len(slots)} processes compute with {threads} thread{'s' * (threads != '1')} each, not "
        f"with {alone}: sums may be rounded otherwise; --threads sets the number"
    )


class WorkerProcess:
    """A process of :mod:`bench.executors.local.worker`, which computes one cell at a time.

    It has its own session, so that Ctrl-C does not reach it, and its own process group, which ends
    with it.

    Args:
        slot: where it computes.

    Attributes:
        connection: can be waited for; :meth:`receive` reads its events.
        cell: the cell that it computes now.
        has_started: whether it has sent an event.
    """

    def __init__(self, slot: Slot) -> None:
        self.cell: Cell | None = None
        self.has_started = False
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        self.connection, child = Pipe()
        with child:
            self._process = subprocess.Popen(
                # -P and PYTHONPATH make the worker import the same modules as this process.
                [sys.executable, "-P", "-m", "bench.executors.local.worker", str(child.fileno())],
                stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
                pass_fds=[child.fileno()], start_new_session=True,
                env={**os.environ, "PYTHONPATH": _path(), **slot.environment},
            )  # fmt: skip
        self._send(slot.site)

    def assign(self, cell: Cell) -> None:
        """Have a cell computed."""
        self.cell = cell
        self._send(cell_to_json(cell))

    def stop(self, why: str, exit_code: int) -> None:
        """Have the worker save a checkpoint after its current step, and end."""
        self._send((why, exit_code))

    def abort(self) -> None:
        """End the worker in the middle of a step."""
        self._process.send_signal(AT_ONCE)

    def receive(self) -> tuple[Any, ...] | None:
        """Return the next event, ``(name, *details)``; ``None`` if there is none yet.

        Raises:
            EOFError: the process has ended, and all its events were received.
        """
        # The pipe says nothing of the end if a child that the process forked keeps it open.
        ended = self._process.poll() is not None
        try:
            if self.connection.poll():
                event: tuple[Any, ...] = self.connection.recv()
                self.has_started = True
                return event
        except OSError as error:
            raise EOFError from error
        if ended:
            raise EOFError
        return None

    def take_output(self) -> str:
        """Return the end of what the worker printed since the last call."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - Limit.WORKER_OUTPUT_BYTES))
        text = self._output.read().decode("utf-8", "backslashreplace")
        self._output.truncate(0)
        return text

    def end(self, patience: float) -> int:
        """Close the connection, wait for the end of the process, and return its exit code.

        Processes that a plugin has started in the worker end with it.

        Args:
            patience: seconds after which the process is killed.

        Returns:
            The exit code; the negative number of the signal that killed the process, if one did.
        """
        self.connection.close()
        self._output.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        with suppress(ProcessLookupError, PermissionError):  # no process is left
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # the process died; reading its events says so
            self.connection.send(message)


def _path() -> str:
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)
