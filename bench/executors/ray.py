"""The ray executor: cells as tasks of a Ray cluster, each waiting for the one that it rests on.

Ray starts a task when what it rests on has ended and when there is room, and gives it to another
process, on another node if need be, when its own dies; the cell then goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.executors.base import RETRIES, Executor
from bench.executors.own_plugins import refuse_own_plugins
from bench.executors.ray_box import open_box
from bench.executors.ray_cluster import connected, load_ray
from bench.executors.ray_task import compute
from bench.grid.compute import Ending
from bench.ledger.cell import Cell, cell_to_json
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.grid.runner import Execute, Runner

# Seconds between two looks at events, signals and the time budget.
_LOOK_EVERY = 0.3
# A network drive may show a file to another machine only a while after it was written.
_LOOKS = 5


@dataclass(frozen=True)
class RayOptions:
    """How cells are given to Ray; none of it changes a result.

    Attributes:
        address: of a running cluster, ``HOST:PORT`` or ``auto``; ``None`` starts one here.
        gpus_per_cell: may be a fraction; ``None`` for 1 where the cluster has GPUs.
        cpus_per_cell: as Ray counts them; a cell computes with as many threads, if nothing else
            was said.
    """

    address: str | None = None
    gpus_per_cell: float | None = None
    cpus_per_cell: float = 1.0


def ray_execution(
    address: str | None = None,
    *,
    gpus_per_cell: float | None = None,
    cpus_per_cell: float | None = None,
) -> Execute:
    """Return what has the cells of a run computed by Ray; see :class:`RayOptions`.

    Raises:
        BenchError: Ray is not installed, or an option is not allowed.
    """
    load_ray()
    options = RayOptions(address, gpus_per_cell, cpus_per_cell or 1.0)
    return lambda runner, cells: RayExecutor(runner, options)(cells)


class RayExecutor(Executor):
    """Gives all cells to Ray at once, and listens.

    Args:
        runner: is told how each cell ended.
        options: how.
    """

    def __init__(self, runner: Runner, options: RayOptions) -> None:
        super().__init__(runner)
        site = runner.site.site
        self._options, self._ray = options, load_ray()
        threads = site.threads or max(1, int(options.cpus_per_cell))
        device = "cuda" if site.device.startswith("cuda") else site.device
        self._site = replace(site.with_paths(), threads=threads, device=device)
        self._refs: dict[str, Any] = {}
        self._running: dict[Any, Cell] = {}
        self._begun: set[str] = set()
        self._resubmitted: set[str] = set()
        self._stopping = False

    def __call__(self, cells: Sequence[Cell]) -> None:
        """See :meth:`Executor.__call__`."""
        if not cells:
            return
        refuse_own_plugins(cells, self.runner.site.site)
        with connected(self._options.address):
            self._box, self._task = open_box(), self._make_task()
            try:
                for cell in cells:
                    self._submit(cell)
                while self._running:
                    self._look()
            except self._ray.exceptions.RayActorError as error:
                raise BenchError(f"Ray lost this run's own node: {error}") from error
        self.runner.control.stop.check()

    def _make_task(self) -> Any:
        gpus, cpus = self._options.gpus_per_cell, self._options.cpus_per_cell
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = float(self._site.device != "cpu" and any(node.get("GPU") for node in nodes))
        if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
            self.runner.reporter.note(
                f"no node of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs for a cell: "
                "waiting until one joins"
            )
        return self._ray.remote(compute).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, name="bench"
        )

    def _submit(self, cell: Cell) -> None:
        needed = cell.dependency
        waits_for = None
        if needed is not None and cell.id not in self._resubmitted:
            waits_for = self._refs.get(needed.id)
        ref = self._task.remote(self._box, self._site.to_json(), cell_to_json(cell), waits_for)
        self._refs[cell.id] = ref
        self._running[ref] = cell

    def _look(self) -> None:
        """Wait a moment for tasks that end, and for events."""
        if self.runner.control.stop.requested and not self._stopping:
            self._stop_tasks()
        ended, _ = self._ray.wait(
            list(self._running), num_returns=len(self._running), timeout=_LOOK_EVERY
        )
        for event, *details in self._ray.get(self._box.take.remote()):
            self._hear(event, details)
        for ref in sorted(ended, key=list(self._running).index):
            self._settle(ref, self._running.pop(ref))

    def _hear(self, event: str, details: list[Any]) -> None:
        if event == "note":
            self.runner.reporter.note(*details)
        elif event == "begin":
            self._count_attempt(*details)
        elif self._refs.get(details[0].id) in self._running:  # else it comes late
            getattr(self.runner.reporter, event)(*details)

    def _count_attempt(self, cell_id: str, attempt: int) -> None:
        self._begun.add(cell_id)
        cell = self._running.get(self._refs[cell_id])
        if attempt > 1 and cell is not None:
            self.runner.reporter.note(f"{cell.title}: its process died; it goes on in another")

    def _stop_tasks(self) -> None:
        self._stopping = True
        asked = self.runner.control.stop.reason()
        if asked is not None:
            self._ray.get(self._box.ask_to_stop.remote(asked.why, asked.exit_code))
        for ref, cell in self._running.items():
            if cell.id not in self._begun:
                self._ray.cancel(ref)

    def _settle(self, ref: Any, cell: Cell) -> None:
        """See how a task ended, and tell the runner."""
        exceptions = self._ray.exceptions
        try:
            status, text, seconds = self._ray.get(ref)
        except exceptions.TaskCancelledError:
            if cell.id in self._begun:
                self.runner.finish(cell, Ending("stopped"))
        except exceptions.RayTaskError as error:
            self._settle_raised(cell, error)
        except exceptions.RayError as error:
            self.ended(cell, 0.0, self._how_it_died(error))
        else:
            if status == "error":
                raise BenchError(text)
            if status in ("ok", "failed"):
                self._find_record(cell)
            self.runner.finish(cell, Ending(status, text, seconds))

    def _settle_raised(self, cell: Cell, error: Any) -> None:
        """Settle a task that raised, or never ran because that of the cell before it was lost."""
        needed = cell.dependency
        if needed is None or needed.id not in self._refs or cell.id in self._resubmitted:
            self.ended(cell, 0.0, f"its task failed: {error.cause!r}")
        elif self.runner.is_done(needed):
            self._resubmitted.add(cell.id)
            self._submit(cell)
        elif not self._stopping:
            self.runner.ensure(cell)  # computes nothing: what it needs has failed

    def _how_it_died(self, error: Exception) -> str:
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            why = "Ray ended its process because the memory of its node ran out"
        elif isinstance(error, self._ray.exceptions.WorkerCrashedError):
            why = "its process died, as it does when memory runs out or a node is lost,"
        else:
            why = f"Ray lost it: {str(error).strip().splitlines()[0]}"
        return f"{why} on each of {RETRIES + 1} attempts"

    def _find_record(self, cell: Cell) -> None:
        for _ in range(_LOOKS):
            if self.runner.store.read(cell.id) is not None:
                return
            time.sleep(1.0)
        raise BenchError(
            f"a Ray task has computed '{cell.title}', but its record is not in the store "
            f"'{self._site.store}' here: it must be in a folder that all machines share"
        )
