"""The Python API: ``load_dataset``, ``distil``, ``evaluate`` and ``run``.

``distil`` and ``evaluate`` are pure functions on tensors and need no store; ``run`` computes a grid
through the ledger and returns the frame that the command line tabulates.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.data_folder import data_dir as data_folder
from bench.datasets.library import ensure, open_split
from bench.datasets.source import Progress, no_progress
from bench.distillation.distil import distil as distil_set
from bench.evaluation.evaluate import evaluate as evaluate_set
from bench.exchange.opened import load_set
from bench.grid.no_result import EveryCellFailedError, check_any_result
from bench.grid.notebook import reporter_here
from bench.grid.option import check_options
from bench.grid.python_terms import in_python_terms, python_terms
from bench.grid.python_values import as_list, as_numbers, as_path, as_paths, as_seconds, as_whole
from bench.grid.reporter import Control, Reporter
from bench.grid.request import Request, Reuse
from bench.grid.runner import Execute
from bench.grid.session import Session, open_session
from bench.grid.site import CHECKPOINT_EVERY, Site
from bench.ledger.cell import AS_MADE
from bench.ledger.frames import evaluation_frame
from bench.ledger.store import DEFAULT_STORE
from bench.registry.registry import METHODS
from bench.support.arguments import check_argument
from bench.support.errors import BenchError
from bench.support.machine import pick_device
from bench.support.stopping import Stop
from bench.tracking import Tracking, tracked

if TYPE_CHECKING:
    import pandas as pd

    from bench.datasets.real_set import RealSet

__all__ = [
    "Dataset", "EveryCellFailedError", "distil", "evaluate", "load", "load_dataset", "open_run",
    "run",
]  # fmt: skip


distil = python_terms()(distil_set)
evaluate = python_terms()(evaluate_set)
load = python_terms()(load_set)


@dataclass(frozen=True)
class Dataset:
    """Both splits of a real dataset, uint8 on a device."""

    train: RealSet
    test: RealSet


@python_terms()
def load_dataset(
    name: str,
    *,
    device: str = "auto",
    data_dir: str | Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Open a dataset; a registered one that is missing is fetched first.

    Args:
        name: registered or imported.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        data_dir: the folder of packed datasets; default: ``BENCH_DATA``, else the user's own.
        progress: receives the bytes of a download.

    Raises:
        BenchError: for an unknown name or device, or data that cannot be fetched or read.

    Examples:
        >>> import bench
        >>> real = bench.load_dataset("digits")
        >>> len(real.train), real.train.images.dtype, real.test.spec.num_classes
        (1437, torch.uint8, 10)
    """
    check_argument("name", name, str, "a text")
    folder = data_folder(None if data_dir is None else Path(as_path("data_dir", data_dir)))
    place = pick_device(device)
    ensure(name, folder, progress, report=_warn)
    return Dataset(
        open_split(name, "train", folder, place), open_split(name, "test", folder, place)
    )


@python_terms()
def run(
    method: str | Sequence[str],
    dataset: str | Sequence[str],
    ipc: int | str | Sequence[int] = (1, 10, 50),
    *,
    arch: str | Sequence[str] = "convnet3",
    eval_arch: str | Sequence[str] = (),
    protocol: str | None = None,
    mode: str | Sequence[str] = (),
    seeds: int = 1,
    eval_nets: int | None = None,
    stored_as: str | Sequence[str] = AS_MADE,
    evaluate_at: int | str | Sequence[int] = (),
    profile: str = "paper",
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    precision: str = "fp32",
    store: str | Path = DEFAULT_STORE,
    data_dir: str | Path | None = None,
    device: str = "auto",
    plugins: str | Path | Sequence[str | Path] = (),
    reporter: Reporter | None = None,
    time_budget: float | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    deterministic: bool = False,
    threads: int | None = None,
    keep_cached: bool = False,
    recompute: str | Sequence[str] = (),
    no_wait: bool = False,
    track: str | Sequence[str] = (),
    execute: Execute | None = None,
) -> pd.DataFrame:
    """Distil and evaluate a grid; what the store already holds is not computed again.

    Args:
        method: registered names, a list or a text with commas (``"dm,random"``), or ``all``.
        dataset: registered or imported names, likewise; missing data is fetched.
        ipc: images per class; one, a list or a text with commas.
        arch: what to distil with.
        eval_arch: what to evaluate with; default: the same as ``arch``.
        protocol: a protocol's name; default: the profile's.
        mode: ``stream`` or ``frozen``, for generators; default: both.
        seeds: how many distillations (seed indices 0, 1, ...).
        eval_nets: networks per distilled set; default: the protocol's.
        stored_as: store the images so before they are trained on: ``made``, ``float16``,
            ``uint8``, or several of them.
        evaluate_at: also evaluate the sets as they are after these percentages of the steps of
            their distillation; the column ``percent`` tells these rows from the final ones.
        profile: ``paper``, ``day``, ``lite`` or ``smoke``.
        overrides: parameters by method, as ``{"dm": {"iterations": 200}}``.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        store: the folder of cells.
        data_dir: the folder of packed datasets.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: Python files to load first; one or several.
        reporter: receives the events of the run; default: a notebook shows its progress, and
            elsewhere nothing is shown.
        time_budget: seconds after which the run ends; what is left, the next call does.
        checkpoint_every: seconds between two checkpoints of a running cell.
        deterministic: let a GPU use only operations that give the same bits every time.
        threads: of each process that computes; default: the cores, divided among them, but one
            to distil in the profile ``smoke``.
        keep_cached: keep results of plugins whose code has changed since.
        recompute: methods whose cells, and what depends on them, are computed again.
        no_wait: do not wait for cells that another run is computing; they are not in the result.
        track: trackers that follow the run: ``tensorboard``, ``trackio``, ``wandb``, or one of
            another package.
        execute: what computes the cells: an executor of :mod:`bench.executors`, such as
            ``LocalExecutor(4)``; default: this process, one cell after the other.

    Returns:
        One row per evaluation, see :data:`bench.ledger.frames.FRAME_COLUMNS`. Cells that failed are
        not in it; :func:`bench.ledger.frames.load_failures` lists them.

    Raises:
        BenchError: for anything wrong with the arguments, before any work; in its course, if the
            store can no longer be written.
        EveryCellFailedError: there is no result at all, because cells failed or were skipped; with
            the reasons.
        Interrupted: SIGINT or SIGTERM came; the next call continues from the checkpoint.
    """
    request = Request(
        methods=as_list(method),
        datasets=as_list(dataset),
        ipcs=as_numbers(ipc),
        archs=as_list(arch),
        eval_archs=as_list(eval_arch),
        protocol=protocol,
        modes=as_list(mode),
        seeds=as_whole(seeds),
        eval_nets=as_whole(eval_nets),
        stored_as=as_list(stored_as),
        evaluate_at=as_numbers(evaluate_at),
        profile=profile,
        overrides=overrides or {},
        precision=precision,
    )
    folder = data_folder(None if data_dir is None else Path(as_path("data_dir", data_dir)))
    site = Site(
        as_path("store", store), str(folder), device, as_paths(plugins), checkpoint_every, threads,
        deterministic,
    )  # fmt: skip
    if reporter is not None:
        check_argument("reporter", reporter, Reporter, "a Reporter, see bench.grid.reporter")
    if execute is not None and not callable(execute):
        raise BenchError(f"execute {execute!r:.80} is not allowed: see LocalExecutor")
    tracking = Tracking(as_list(track))
    check_options(tracking)
    told = tracked(reporter or reporter_here(), tracking.track, Path(store))
    control = Control(told, Stop(as_seconds(time_budget)))
    session = open_run(
        request, site, control, reuse=Reuse(keep_cached, as_list(recompute), no_wait)
    )
    session.run(execute=execute)
    rows = session.rows(unfinished=True)
    if not control.stop.requested:
        check_any_result(rows)
    return evaluation_frame(rows.evaluations)


def open_run(
    request: Request,
    site: Site,
    control: Control | None = None,
    progress: Progress = no_progress,
    reuse: Reuse | None = None,
) -> Session:
    """Load plugins, check a request, fetch its datasets and expand it; computes nothing.

    ``bench run``, ``bench retry`` and :func:`run` all begin here.

    Args:
        request: what the user asks for; the method ``all`` means every one that is registered.
        site: where and how to compute it.
        control: receives the events of the run, and may stop it.
        progress: receives the bytes of a download.
        reuse: what to do with results that the store holds.

    Raises:
        BenchError: for anything wrong with the plugins, the request, the data or the store.
    """
    for options in (request, site, reuse or Reuse()):
        check_options(options)
    site = site.with_paths()  # before plugins: a plugin can change the working directory
    site.load_plugins()
    if list(request.methods) == ["all"]:
        request = replace(request, methods=METHODS.names())
    return open_session(request, site, control, progress, reuse)


def _warn(text: str) -> None:
    warnings.warn(in_python_terms(text), stacklevel=4)
