"""The executor that submits every cell as a Ray task and handles the events of the tasks.

Ray starts a task when the one that it depends on has ended and there is room. When a process dies,
Ray retries its task in another one, on another node if need be; the cell is then resumed from its
checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.executors.base import RETRIES, Executor
from bench.executors.ray.cluster import connected, load_ray
from bench.executors.ray.task import compute_task, create_event_queue
from bench.grid.compute import Ending
from bench.ledger.cell import Cell
from bench.ledger.cell_json import cell_to_json
from bench.support.errors import BenchError

# Seconds between two checks of events, signals and the time budget.
_POLL_SECONDS = 0.3
# A network drive can show a file to another machine only seconds after it was written.
_RECORD_SECONDS = 5


class RayExecutor(Executor):
    """Submits all cells to Ray at once and waits for them; no option changes a result.

    Args:
        address: a running cluster, ``HOST:PORT`` or ``auto``; ``None`` starts one here.
        gpus_per_cell: GPUs, fractions allowed; ``None`` for 1 where the cluster has GPUs.
        cpus_per_cell: CPUs as Ray counts them, by default 1; also the threads of a cell, if the
            site names none.

    Raises:
        BenchError: Ray is not installed.
    """

    def __init__(
        self,
        address: str | None = None,
        gpus_per_cell: float | None = None,
        cpus_per_cell: float | None = None,
    ) -> None:
        self._address, self._gpus, self._cpus = address, gpus_per_cell, cpus_per_cell or 1.0
        self._ray = load_ray()

    def compute(self, cells: Sequence[Cell]) -> None:
        """Have the cells computed."""
        site = self.runner.site.site
        device = "cuda" if site.device.startswith("cuda") else site.device
        self._site = replace(site, threads=site.threads or max(1, int(self._cpus)), device=device)
        self._refs: dict[str, Any] = {}  # the task of each cell, by the cell's id
        self._running: dict[Any, tuple[Cell, bool]] = {}  # whether its task depends on another
        self._started: set[str] = set()
        with connected(self._address):
            self._events, self._task = create_event_queue(), self._make_task()
            try:
                for cell in cells:
                    self._submit(cell, self._refs.get(cell.depends_on or ""))
                self._watch()
            except self._ray.exceptions.RayActorError as error:
                raise BenchError(f"Ray lost this run's own node: {error}") from error
        self.runner.control.stop.check()

    def _submit(self, cell: Cell, dependency: Any = None) -> None:
        """Submit a cell as a task, which starts when the task ``dependency`` has ended."""
        ref = self._task.remote(self._events, self._site, cell_to_json(cell), dependency)
        self._refs[cell.id] = ref
        self._running[ref] = cell, dependency is not None

    def _make_task(self) -> Any:
        gpus, cpus = self._gpus, self._cpus
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = float(self._site.device != "cpu" and any(node.get("GPU") for node in nodes))
        if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
            self.runner.reporter.note(
                f"no node of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs for a cell: "
                "waiting until one joins"
            )
        return self._ray.remote(compute_task).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=True, name="bench"
        )

    def _watch(self) -> None:
        """Handle events until every task has ended."""
        stopping = False
        while self._running:
            ended, _ = self._ray.wait(
                list(self._running), num_returns=len(self._running), timeout=_POLL_SECONDS
            )
            for event, *details in self._events.get_nowait_batch(self._events.size()):
                self._handle_event(event, *details)
            # Not before the queue has answered: Ray 2.60 crashes if a task is cancelled while the
            # thread that submits tasks has not processed it yet.
            if self.runner.control.stop.requested and not stopping:
                stopping = True
                for ref in self._running:
                    self._ray.cancel(ref)  # one that waits never starts; others end after a step
            # In the order of submission, so that a failure is recorded before its dependents end.
            for ref in sorted(ended, key=list(self._running).index):
                self._handle_end(ref, *self._running.pop(ref))

    def _handle_event(self, event: str, *details: Any) -> None:
        if event == "note":
            self.runner.reporter.note(*details)
            return
        cell: Cell = details[0]
        if self._refs.get(cell.id) not in self._running:  # a late event
            return
        if event == "start":  # Ray's queue can hold progress before it
            if cell.id in self._started:
                self.runner.reporter.note(f"{cell.title}: its process died; another resumes it")
            self._started.add(cell.id)
        getattr(self.runner.reporter, event)(*details)

    def _handle_end(self, ref: Any, cell: Cell, has_dependency: bool) -> None:
        """Report how the task of a cell ended."""
        try:
            ending: Ending = self._ray.get(ref)
        except self._ray.exceptions.TaskCancelledError:
            ending = Ending("stopped")
        except self._ray.exceptions.RayError as error:
            self._handle_loss(cell, has_dependency, error)
            return
        if ending.status == "error":
            raise BenchError(ending.text)
        if ending.status in ("ok", "failed"):
            self._await_record(cell)
        reason = self.runner.control.stop.reason()
        if ending.status != "stopped":
            self.runner.finish(cell, ending)
        elif reason is not None and cell.id in self._started:
            self.runner.finish(cell, Ending("stopped", reason.why))

    def _handle_loss(self, cell: Cell, has_dependency: bool, error: Any) -> None:
        """Submit a task again if it has not run, or report that its process died.

        Ray raises in every task that depends on a lost one. Such a task has not run: it is
        submitted without the dependency, whose record says whether it can be computed.
        """
        is_raised = isinstance(error, self._ray.exceptions.RayTaskError)
        if not (is_raised and has_dependency):
            why = repr(error.cause) if is_raised else str(error).strip().splitlines()[0]
            self.report_death(cell, f"Ray lost its task: {why}")
        elif not self.runner.control.stop.requested:
            self._submit(cell)

    def _await_record(self, cell: Cell) -> None:
        for _ in range(_RECORD_SECONDS):
            if self.runner.store.read(cell.id) is not None:
                return
            time.sleep(1.0)
        raise BenchError(
            f"a Ray task has computed '{cell.title}', but its record is not in the store "
            f"'{self._site.store}' here: it must be in a folder that all machines share"
        )
