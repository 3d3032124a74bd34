"""The executor that gives cells to worker processes and handles their events.

A worker can die at any time: killed for memory, crashed in a library. Another one resumes its cell
from the checkpoint; the other workers are not affected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any

from bench.executors.base import RETRIES, Executor
from bench.executors.local.process import WorkerProcess, describe_division, divide
from bench.grid.compute import Ending
from bench.grid.order import next_cell
from bench.grid.own_plugins import own_plugins
from bench.grid.runner import Runner
from bench.ledger.cell import Cell, DistilCell
from bench.support.errors import BenchError
from bench.support.failure_reasons import describe_death
from bench.support.machine import visible_gpus

# Seconds between two checks of signals and the time budget.
_POLL_SECONDS = 0.2
# Seconds that a worker has for its last step and the checkpoint, and those if it must abort.
_PATIENCE, _SHORT_PATIENCE = 60.0, 5.0


class LocalExecutor(Executor):
    """Gives each worker process one cell at a time.

    Args:
        workers: the number of processes; 0 computes in this one. ``None`` means one process, or one
            per GPU, but 0 where every network is trained by the smoke protocol or where a plugin is
            known to this process only.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._given = workers

    def __call__(self, runner: Runner, cells: Sequence[Cell]) -> None:
        """Have the cells of a run computed: see :class:`Executor`."""
        workers = _default_workers(runner, cells) if self._given is None else self._given
        if workers == 0:
            runner.in_turn(cells)
            return
        self._slots = divide(runner.site.site, runner.site.device, workers)
        super().__call__(runner, cells)

    def compute(self, cells: Sequence[Cell]) -> None:
        """Have the cells computed."""
        self._workers: dict[int, WorkerProcess] = {}  # by the index of their slot
        self._waiting, self._unfinished = list(cells), {cell.id for cell in cells}
        self._deaths: Counter[str] = Counter()
        self._stop = self.runner.control.stop
        if remark := describe_division(self._slots, self.runner.site.device):
            self.runner.reporter.note(remark)
        try:
            while self._unfinished and not self._stop.requested:
                self._assign_cells()
                self._poll()
            if (reason := self._stop.reason()) is not None:
                for worker in self._workers.values():
                    worker.stop(reason.why, reason.exit_code)
            while any(worker.cell is not None for worker in self._workers.values()):
                self._poll()
        except KeyboardInterrupt:
            self._end_workers(_SHORT_PATIENCE, abort=True)
            raise
        finally:
            self._end_workers(_PATIENCE)
        self._stop.check()

    def _assign_cells(self) -> None:
        for index, slot in enumerate(self._slots):
            worker = self._workers.get(index)
            if worker is not None and worker.cell is not None:
                continue
            cell = self._take_ready_cell()
            if cell is None:
                return
            if worker is None:
                worker = self._workers[index] = WorkerProcess(slot)
            worker.assign(cell)

    def _take_ready_cell(self) -> Cell | None:
        """Return the cell to compute next; ``None`` if each depends on an unfinished one."""
        ready = [cell for cell in self._waiting if cell.depends_on not in self._unfinished]
        if not ready:
            return None
        cell = next_cell(ready, self.runner.estimates, self._stop.seconds_left())
        self._waiting.remove(cell)
        return cell

    def _poll(self) -> None:
        """Wait a moment for events and handle them."""
        wait([worker.connection for worker in self._workers.values()], _POLL_SECONDS)
        for index, worker in list(self._workers.items()):
            try:
                event = worker.receive()
            except EOFError:
                self._handle_death(self._workers.pop(index))
            else:
                if event is not None:
                    self._handle_event(worker, *event)

    def _handle_event(self, worker: WorkerProcess, event: str, *details: Any) -> None:
        if event == "error":
            raise BenchError(*details)
        if event != "ended":
            getattr(self.runner.reporter, event)(*details)
        elif cell := self._release(worker):
            self._finish(cell, *details)

    def _handle_death(self, worker: WorkerProcess) -> None:
        """Retry the cell of a worker that is gone, or record that it failed."""
        cell, reason = self._release(worker), self._stop.reason()
        death = describe_death(worker.end(_SHORT_PATIENCE))
        if cell is None:
            return
        if reason is not None:
            self._finish(cell, Ending("stopped", reason.why))
            return
        self._deaths[cell.id] += 1
        if self._deaths[cell.id] <= RETRIES:
            self.runner.reporter.note(f"{cell.title}: {death}; another resumes it")
            self._waiting.append(cell)
        elif not worker.has_started:
            raise BenchError(
                "worker processes do not start, the log of the cell has what they printed: "
                f"{death}; --workers 0 computes without them"
            )
        else:
            self.runner.store.log(cell.id, death)
            self._unfinished.discard(cell.id)
            self.report_death(cell, death)

    def _release(self, worker: WorkerProcess) -> Cell | None:
        """Return the cell that a worker has ended, or died with; its log gets the output."""
        cell, worker.cell = worker.cell, None
        if cell is not None and (output := worker.take_output()):
            self.runner.store.log(cell.id, output)
        return cell

    def _finish(self, cell: Cell, ending: Ending) -> None:
        self._unfinished.discard(cell.id)
        self.runner.finish(cell, ending)

    def _end_workers(self, patience: float, *, abort: bool = False) -> None:
        """End every worker and wait until it has ended; ``abort`` does not let steps finish."""
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.stop("the run ends", 1)
            if abort:
                worker.abort()
        for worker in workers:
            worker.end(patience)


def _default_workers(runner: Runner, cells: Sequence[Cell]) -> int:
    if all(isinstance(cell, DistilCell) or cell.protocol == "smoke" for cell in cells):
        return 0  # the cells take less time than starting a process
    names = own_plugins(cells, runner.site.site.plugins)
    if names:
        runner.reporter.note(f"{', '.join(names)} is known to this process only, which computes")
        return 0
    return max(1, len(visible_gpus(runner.site.device)))
