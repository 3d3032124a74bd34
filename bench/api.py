"""The Python API: ``load_dataset``, ``distil``, ``evaluate`` and ``run``.

``distil`` and ``evaluate`` are pure functions on tensors and need no store; ``run`` computes a grid
through the ledger and returns the frame that the command line tabulates.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.library import data_dir as data_folder
from bench.datasets.library import ensure, open_split
from bench.datasets.source import Progress, no_progress
from bench.distillation.distil import distil
from bench.evaluation.evaluate import evaluate
from bench.exchange.opened import load_set as load
from bench.grid.option import options_of
from bench.grid.reporter import Control, Reporter
from bench.grid.request import Request, Reuse
from bench.grid.runner import Execute
from bench.grid.session import Session, open_session
from bench.grid.site import CHECKPOINT_EVERY, Site
from bench.ledger.cell import AS_MADE
from bench.ledger.frames import evaluation_frame
from bench.ledger.rows import Rows
from bench.ledger.store import DEFAULT_STORE
from bench.registry.registry import METHODS
from bench.support.comma_list import split_commas
from bench.support.errors import BenchError
from bench.support.machine import pick_device
from bench.support.stopping import Stop
from bench.tracking import Tracking, tracked

if TYPE_CHECKING:
    import pandas as pd

    from bench.datasets.real_set import RealSet

__all__ = ["Dataset", "distil", "evaluate", "load", "load_dataset", "open_run", "run"]


class EveryCellFailedError(BenchError):
    """No cell of a grid has a result, and at least one failed."""


@dataclass(frozen=True)
class Dataset:
    """Both splits of a real dataset, uint8 on a device."""

    train: RealSet
    test: RealSet


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
    folder, place = (
        data_folder(Path(data_dir) if data_dir is not None else None),
        pick_device(device),
    )
    ensure(name, folder, progress, report=warnings.warn)
    return Dataset(
        open_split(name, "train", folder, place), open_split(name, "test", folder, place)
    )


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
    plugins: Sequence[str | Path] = (),
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
        profile: ``paper``, ``lite`` or ``smoke``.
        overrides: parameters by method, as ``{"dm": {"iterations": 200}}``.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        store: the folder of cells.
        data_dir: the folder of packed datasets.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: Python files to load first.
        reporter: receives the events of the run.
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
        execute: what computes the cells: :func:`bench.executors.local.local_execution`, or
            ``ray_execution`` or ``slurm_execution`` beside it; default: this process, one cell
            after the other.

    Returns:
        One row per evaluation, see :data:`bench.ledger.frames.FRAME_COLUMNS`. Cells that failed are
        not in it; :func:`bench.ledger.frames.load_failures` lists them.

    Raises:
        BenchError: for anything wrong with the arguments, before any work; in its course, if the
            store can no longer be written.
        EveryCellFailedError: there is no result at all, because cells failed; with the reasons.
        Interrupted: SIGINT or SIGTERM came; the next call continues from the checkpoint.
    """
    with _python_terms():
        request = Request(
            methods=_listed(method),
            datasets=_listed(dataset),
            ipcs=_counts(ipc),
            archs=_listed(arch),
            eval_archs=_listed(eval_arch),
            protocol=protocol,
            modes=_listed(mode),
            seeds=_whole(seeds),
            eval_nets=_whole(eval_nets),
            stored_as=_listed(stored_as),
            evaluate_at=_counts(evaluate_at),
            profile=profile,
            overrides=overrides or {},
            precision=precision,
        )
        folder = data_folder(Path(data_dir) if data_dir is not None else None)
        site = Site(
            str(store), str(folder), device, tuple(map(str, plugins)), checkpoint_every, threads,
            deterministic,
        )  # fmt: skip
        told = tracked(reporter or Reporter(), _listed(track), Path(store))
        control = Control(told, Stop(time_budget))
        session = open_run(
            request, site, control, reuse=Reuse(keep_cached, _listed(recompute), no_wait)
        )
        session.run(execute=execute)
    rows = session.rows(unfinished=True)
    _check_any_result(rows, control.stop)
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
    site = site.with_paths()  # first: a plugin can change the working directory
    site.load_plugins()
    if list(request.methods) == ["all"]:
        request = replace(request, methods=METHODS.names())
    return open_session(request, site, control, progress, reuse)


def _whole(value: Any) -> Any:
    """Turn NumPy's whole numbers into Python's, which JSON knows; the grid refuses the rest."""
    return int(value) if isinstance(value, Integral) and value is not True else value


def _listed(value: str | Sequence[str]) -> list[str]:
    return split_commas(value) if isinstance(value, str) else list(value)


def _counts(given: int | str | Sequence[int]) -> list[Any]:
    """Return a list of numbers; texts that are no whole ones stay, and the checks refuse them."""
    if isinstance(given, str):
        return [int(part) if part.isdecimal() else part for part in split_commas(given)]
    return [_whole(each) for each in (given if isinstance(given, Iterable) else [given])]


@contextmanager
def _python_terms() -> Iterator[None]:
    """Name the parameters of a call in messages: ``seeds`` in place of ``--seeds``."""
    try:
        yield
    except BenchError as error:
        names = {
            o.flag: o.name for cls in (Request, Site, Reuse, Tracking) for o in options_of(cls)
        }
        names |= {"--set": "overrides", "--plugin": "plugins", "--time-budget": "time_budget"}
        text = re.sub(r"--[a-z][a-z-]*", lambda flag: names.get(flag[0], flag[0]), str(error))
        error.args = (text, *error.args[1:])
        raise


def _check_any_result(rows: Rows, stop: Stop) -> None:
    """Refuse an empty frame where it would hide that every cell failed.

    Raises:
        EveryCellFailedError: saying why.
    """
    failed = [row for row in rows.failures if row.status == "failed"]
    if failed and not rows.evaluations and not stop.requested:
        # What failed because another cell did says nothing of its own.
        causes = [row for row in failed if not row.reason.startswith("it needs '")] or failed
        named = (f"{row.method} on {row.dataset}: {row.reason}" for row in causes)
        reasons = list(dict.fromkeys(named))
        more = f"; and {len(reasons) - 5} more reasons" if len(reasons) > 5 else ""
        raise EveryCellFailedError(f"every cell failed: {'; '.join(reasons[:5])}{more}")
