"""The local executor: worker processes on this machine, each with a GPU or a share of the cores.

A worker may die at any time: killed for memory, crashed in a library. Its cell is handed to a new
one, which goes on from the checkpoint; the others never notice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from bench.executors.base import RETRIES, Executor, waits_for
from bench.executors.local_process import WorkerProcess
from bench.executors.local_slots import divide, visible_gpus
from bench.executors.own_plugins import own_plugins, refuse_own_plugins
from bench.executors.process_deaths import how_it_died
from bench.grid.compute import Ending
from bench.grid.order import next_cell
from bench.ledger.cell import Cell, DistilCell
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.grid.runner import Execute, Runner

# Seconds between two looks at signals and the time budget.
_LOOK_EVERY = 0.2
# Seconds that workers have for their last step and its checkpoint when a run ends with an error,
# and when it is to end at once.
_PATIENCE, _IMPATIENCE = 60.0, 5.0


def local_execution(workers: int | None = None) -> Execute:
    """Return what has the cells of a run computed by processes of this machine.

    Args:
        workers: processes; 0 computes in this one. By default one, or one per GPU, but 0 where all
            networks are trained by the smoke protocol, and for plugins that only this process
            knows.
    """

    def execute(runner: Runner, cells: Sequence[Cell]) -> None:
        count = _default_workers(runner, cells) if workers is None else workers
        if count == 0:
            runner.in_turn(cells)
            return
        refuse_own_plugins(cells, runner.site.site)
        LocalExecutor(runner, count)(cells)

    return execute


def _default_workers(runner: Runner, cells: Sequence[Cell]) -> int:
    if all(isinstance(cell, DistilCell) or cell.protocol == "smoke" for cell in cells):
        return 0  # over before a process has started
    names = own_plugins(cells, runner.site.site)
    if names:
        runner.reporter.note(f"{', '.join(names)} is known to this process only, which computes")
        return 0
    return max(1, len(visible_gpus(runner.site.device)))


class LocalExecutor(Executor):
    """Hands cells to worker processes and listens.

    Args:
        runner: is told how each cell ended.
        workers: how many processes, at least 1.
    """

    def __init__(self, runner: Runner, workers: int) -> None:
        super().__init__(runner)
        self._slots = divide(runner.site.site, runner.site.device, workers)
        self._workers: list[WorkerProcess | None] = [None] * workers
        self._unfinished: dict[str, Cell] = {}
        self._waiting: list[Cell] = []
        self._deaths: Counter[str] = Counter()
        self._false_starts = 0
        self._stopping = False

    def __call__(self, cells: Sequence[Cell]) -> None:
        """See :meth:`Executor.__call__`."""
        self._unfinished = {cell.id: cell for cell in cells}
        self._waiting = list(cells)
        try:
            self._work()
        except KeyboardInterrupt:
            self._end(_IMPATIENCE, at_once=True)
            raise
        finally:
            self._end(_PATIENCE)
        self.runner.control.stop.check()

    def _work(self) -> None:
        stop = self.runner.control.stop
        while self._waiting or self._busy():
            if self._stopping:
                if not self._busy():
                    return
            elif stop.requested:
                self._tell_to_stop()
            else:
                self._hand_out()
            self._listen()

    def _busy(self) -> bool:
        return any(worker is not None and worker.cell is not None for worker in self._workers)

    def _tell_to_stop(self) -> None:
        self._stopping = True
        asked = self.runner.control.stop.reason()
        for worker in self._workers:
            if worker is not None and asked is not None:
                worker.stop(asked.why, asked.exit_code)

    def _hand_out(self) -> None:
        for i, slot in enumerate(self._slots):
            worker = self._workers[i]
            if worker is not None and worker.cell is not None:
                continue
            cell = self._next()
            if cell is None:
                return
            if worker is None:
                worker = self._workers[i] = WorkerProcess(slot)
            worker.give(cell)

    def _next(self) -> Cell | None:
        """Take the cell that is to be computed next; ``None`` if all have to wait for others."""
        ready = (c for c in self._waiting if waits_for(c, self._unfinished) is None)
        left = self.runner.control.stop.seconds_left()
        if left is None:
            cell = next(ready, None)
        else:
            fitting = list(ready)
            cell = next_cell(fitting, self.runner.estimates, left) if fitting else None
        if cell is not None:
            self._waiting.remove(cell)
        return cell

    def _listen(self) -> None:
        """Wait a moment for events."""
        by_connection = {w.connection: i for i, w in enumerate(self._workers) if w is not None}
        for connection in wait(list(by_connection), _LOOK_EVERY):
            i = by_connection[connection]  # type: ignore[index]
            worker = self._workers[i]
            assert worker is not None
            try:
                event, *details = worker.connection.recv()
            except (EOFError, OSError):
                self._workers[i] = None
                self._bury(worker)
            else:
                self._hear(worker, event, details)

    def _hear(self, worker: WorkerProcess, event: str, details: list[Any]) -> None:
        if event == "ready":
            worker.ready = True
        elif event == "done":
            self._keep_output(worker)
            if worker.cell is not None:
                self._unfinished.pop(worker.cell.id, None)
            worker.cell = None
        elif event == "finish":
            self._finish(*details)
        elif event == "error":
            raise BenchError(*details)
        else:
            getattr(self.runner.reporter, event)(*details)

    def _finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        if status == "stopped" and not self._stopping:
            return  # a signal to this worker alone: it dies, and the cell goes on in another
        self._unfinished.pop(cell.id, None)
        self.runner.finish(cell, Ending(status, text, seconds))

    def _bury(self, worker: WorkerProcess) -> None:
        """Decide what becomes of the cell of a worker that is gone."""
        self._keep_output(worker)
        seconds, cell = worker.seconds(), worker.cell
        code = worker.end(_IMPATIENCE)
        if self._stopping or cell is None or cell.id not in self._unfinished:
            return
        if worker.ready:
            self._deaths[cell.id] += 1
        else:
            self._count_false_start(code)
        times = self._deaths[cell.id]
        if times > RETRIES:
            self.runner.store.log(cell.id, how_it_died(code))
            del self._unfinished[cell.id]
            self.ended(cell, seconds, how_it_died(code, times))
        else:
            self.runner.reporter.note(f"{cell.title}: {how_it_died(code)}; it goes on in another")
            self._waiting.append(cell)

    def _count_false_start(self, code: int) -> None:
        self._false_starts += 1
        if self._false_starts > RETRIES:
            raise BenchError(
                f"worker processes do not start, the log of the cell has what they printed: "
                f"{how_it_died(code)}; --workers 0 does without"
            )

    def _keep_output(self, worker: WorkerProcess) -> None:
        output = worker.take_output()
        if output and worker.cell is not None:
            self.runner.store.log(worker.cell.id, output)

    def _end(self, patience: float, *, at_once: bool = False) -> None:
        """Have every worker end, and wait until it has."""
        ending = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * len(self._workers)
        for worker in ending:
            worker.stop("the run ends", 1)
            if at_once:
                worker.interrupt()
        for worker in ending:
            worker.end(patience)
