"""The Python API: ``bench.run(...)`` returns the frame that the command line tabulates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cells import EvaluateCell
from bench.datasets.library import DatasetInfo, ensure
from bench.datasets.library import data_dir as data_folder
from bench.datasets.source import Progress, no_progress
from bench.environment import pick_device
from bench.estimate import estimate
from bench.grid import Grid, Request, build_grid
from bench.registry import load_plugin_file
from bench.runner import Outcome, Runner, plan
from bench.store.query import load_frames
from bench.store.store import DEFAULT_STORE, Store
from bench.view import View

if TYPE_CHECKING:
    import pandas as pd
    import torch


@dataclass
class Session:
    """A request, expanded and ready to run.

    Attributes:
        grid: its cells.
        runner: runs them.
        device: where.
    """

    grid: Grid
    runner: Runner
    device: torch.device

    def missing(self) -> list[str]:
        """Return the ids of the cells that are still to be computed."""
        pending = self.runner.pending(self.grid)
        return [c.id for c in plan(self.grid) if c.id in pending]

    def estimate(self) -> dict[str, float]:
        """Return estimated seconds of each missing cell, by a short measurement."""
        return estimate(self.grid, self.runner)

    def run(self, estimates: Mapping[str, float] | None = None) -> Outcome:
        """Compute what is missing."""
        return self.runner.run(self.grid, estimates)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return this request's results and failures, see :func:`bench.store.query.load_frames`."""
        cells: list[EvaluateCell] = [*self.grid.evaluate, *(s.cell for s in self.grid.skipped)]
        ids = [c.id for c in cells] + [c.id for c in self.grid.distil]
        return load_frames(self.runner.store.root, ids)


def open_session(
    request: Request,
    *,
    store: Path = DEFAULT_STORE,
    data: Path | None = None,
    device: str = "auto",
    view: View | None = None,
    progress: Progress = no_progress,
) -> Session:
    """Check a request, fetch the datasets it needs and expand it; computes nothing.

    Raises:
        BenchError: for anything wrong with the request, the data or the store.
    """
    folder, where = data_folder(data), pick_device(device)

    def find(name: str) -> DatasetInfo:
        return ensure(name, folder, progress)

    grid = build_grid(request, find)
    runner = Runner(Store(store), folder, where, view or View())
    runner.store.prepare()
    return Session(grid, runner, where)


def run(
    method: str | Sequence[str],
    dataset: str | Sequence[str],
    ipc: int | Sequence[int] = (1, 10, 50),
    *,
    arch: str | Sequence[str] = "convnet3",
    eval_arch: str | Sequence[str] = (),
    protocol: str | None = None,
    mode: str | Sequence[str] = (),
    seeds: int = 1,
    eval_nets: int | None = None,
    profile: str = "paper",
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    precision: str = "fp32",
    store: str | Path = DEFAULT_STORE,
    data_dir: str | Path | None = None,
    device: str = "auto",
    plugins: Sequence[str | Path] = (),
    view: View | None = None,
) -> pd.DataFrame:
    """Distil and evaluate a grid; what the store already holds is not computed again.

    Args:
        method: registered names.
        dataset: registered or imported names; missing data is fetched.
        ipc: images per class.
        arch: what to distil with.
        eval_arch: what to evaluate with; default: the same as ``arch``.
        protocol: a protocol's name; default: the profile's.
        mode: ``stream`` or ``frozen``, for generators; default: both.
        seeds: how many distillations (seed indices 0, 1, ...).
        eval_nets: networks per distilled set; default: the protocol's.
        profile: ``paper``, ``lite`` or ``smoke``.
        overrides: parameters by method, as ``{"dm": {"iterations": 200}}``.
        precision: ``fp32`` or ``bf16``.
        store: the folder of cells.
        data_dir: the folder of packed datasets.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: Python files to load first.
        view: receives the events of the run.

    Returns:
        One row per evaluation, see :data:`bench.store.query.FRAME_COLUMNS`. Cells that failed are
        not in it; :func:`bench.store.query.load_failures` lists them.

    Raises:
        BenchError: for anything wrong with the arguments, before any work.
    """
    for path in plugins:
        load_plugin_file(Path(path))
    request = Request(
        methods=_listed(method),
        datasets=_listed(dataset),
        ipcs=[ipc] if isinstance(ipc, int) else list(ipc),
        archs=_listed(arch),
        eval_archs=_listed(eval_arch),
        protocol=protocol,
        modes=_listed(mode),
        seeds=seeds,
        eval_nets=eval_nets,
        profile=profile,
        overrides=overrides or {},
        precision=precision,
    )
    folder = Path(data_dir) if data_dir is not None else None
    session = open_session(request, store=Path(store), data=folder, device=device, view=view)
    session.run()
    return session.frames()[0]


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
