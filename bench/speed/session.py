"""A measurement as a whole: which stages, on which device, and the record of it.

``bench speed`` measures this package alone. ``tests/speed/compare.py`` hands in plain loops, which
then take turns with it.
"""

from __future__ import annotations

import datetime
import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench.datasets.real_set import RealSet
from bench.networks.precision import PRECISIONS, check_precision
from bench.registry.registry import METHODS
from bench.speed.footprint import STAGE as FOOTPRINT_STAGE
from bench.speed.footprint import peak_bytes
from bench.speed.machine import describe_machine, load_average
from bench.speed.measuring import Observer, Side, Spread, Timing, alternate, observer
from bench.speed.peak import Peak, measure_peak
from bench.speed.stages import STAGES, Stage, made_up_set
from bench.support.errors import BenchError, UnknownNameError
from bench.support.glibc_memory import keep_freed_memory

SCHEMA = 3
LEAST_REPEATS = 5
_PEAK_SECONDS = 2.0


# Provides the observer of a rival of a stage: name, device, threads.
Rival = Callable[[str, torch.device, int], AbstractContextManager[Observer]]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        device: where.
        precisions: of this package's side; a plain loop is always fp32.
        stages: names of :data:`bench.speed.stages.STAGES`.
        repeats: timed runs of each side.
        seconds: about how long each should take.
        plain: provides plain loops to compare with; ``None`` measures this package alone.

    Raises:
        BenchError: if there is nothing of that name, or too few repeats.
    """

    device: torch.device
    precisions: Sequence[str] = ("fp32", "bf16")
    stages: Sequence[str] = tuple(STAGES)
    repeats: int = LEAST_REPEATS
    seconds: float = 3.0
    plain: Rival | None = None

    def __post_init__(self) -> None:
        _check_names("stage", self.stages, STAGES)
        _check_names("precision", self.precisions, PRECISIONS)
        for precision in self.precisions:
            check_precision(precision, self.device.type)
        if self.repeats < LEAST_REPEATS:
            raise BenchError(f"{self.repeats} repeats are too few: at least {LEAST_REPEATS}")
        if self.seconds < 0:
            raise BenchError(f"a run cannot take {self.seconds} seconds")


def measure(plan: Plan, command: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; return the record, plain JSON values.

    Args:
        plan: what to measure.
        command: the command line, for the record.
        say: receives what is being done.

    Returns:
        ``schema`` (3), ``command``, ``date`` (UTC), ``environment`` (versions, device, threads),
        ``load_average`` (at ``start`` and ``end``; ``None`` where unknown), ``repeats``;
        ``peak``: for each precision ``flops_per_second``, the ``operation`` that
        reached it, and ``all``; ``stages``, see :func:`_stage`; ``skipped``: ``stage`` and
        ``reason``; ``memory``: ``stage``, ``precision`` and ``peak_bytes``.
    """
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "environment": describe_machine(plan.device),
        "load_average": {"start": load_average()},
        "repeats": plan.repeats,
    }
    keep_freed_memory()  # before any thread exists, so that all of them share one arena
    peaks = {}
    for precision in dict.fromkeys(("fp32", *plan.precisions)):
        say(f"peak of this device, {precision}")
        peaks[precision] = measure_peak(plan.device, precision, min(_PEAK_SECONDS, plan.seconds))
    record["peak"] = {precision: asdict(peak) for precision, peak in peaks.items()}
    real = made_up_set(plan.device)
    stages, record["skipped"] = _applicable(plan)
    record["stages"] = [_stage(stage, plan, real, peaks, say) for stage in stages]
    record["memory"] = _memory(plan, say)
    record["load_average"]["end"] = load_average()
    return record


def _applicable(plan: Plan) -> tuple[list[Stage], list[dict[str, str]]]:
    stages, skipped = [], []
    for name in dict.fromkeys(plan.stages):
        stage = STAGES[name]
        if stage.method is None or stage.method in METHODS.names():
            stages.append(stage)
        else:
            reason = f"method '{stage.method}' is not installed"
            skipped.append({"stage": name, "reason": reason})
    return stages, skipped


def _stage(
    stage: Stage, plan: Plan, real: RealSet, peaks: dict[str, Peak], say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure one stage.

    Returns:
        ``stage``, ``title``, ``images_per_unit``, ``flops_per_image`` (or ``None``), and ``sides``,
        a plain loop first if there is one; for each ``side``, ``precision``, ``units`` of a repeat,
        ``seconds`` of each repeat, ``images_per_second`` (``median``, ``min``, ``max``),
        ``fraction_of_peak`` of its precision (or ``None``) and ``page_faults_per_image`` (median).
    """
    threads = torch.get_num_threads()
    rival = nullcontext() if plan.plain is None else plan.plain(stage.name, plan.device, threads)
    with rival as plain:
        sides = [] if plain is None else [Side("plain", "fp32", plain)]
        for precision in plan.precisions if stage.has_bf16 else ("fp32",):
            runner = stage.work(real, precision)
            watched = observer(runner, threads, plan.device, precision)
            sides.append(Side("ours", precision, watched))
        timings = alternate(sides, plan.repeats, plan.seconds, lambda t: say(f"{stage.name}: {t}"))
    gc.collect()
    return {
        "stage": stage.name,
        "title": stage.title,
        "images_per_unit": stage.images,
        "flops_per_image": stage.flops,
        "sides": [_side(timing, stage, peaks) for timing in timings],
    }


def _side(timing: Timing, stage: Stage, peaks: dict[str, Peak]) -> dict[str, Any]:
    rates = Spread.of([rate * stage.images for rate in timing.rates])
    faults = Spread.of([run.page_faults / (timing.units * stage.images) for run in timing.runs])
    peak = peaks[timing.side.precision].flops_per_second
    return {
        "side": timing.side.name,
        "precision": timing.side.precision,
        "units": timing.units,
        "seconds": [run.seconds for run in timing.runs],
        "images_per_second": asdict(rates),
        "fraction_of_peak": None if stage.flops is None else rates.median * stage.flops / peak,
        "page_faults_per_image": faults.median,
    }


def _memory(plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    if FOOTPRINT_STAGE not in plan.stages:
        return []
    rows = []
    for precision in plan.precisions:
        say(f"memory of {FOOTPRINT_STAGE}, {precision}")
        most = peak_bytes(plan.device, precision)
        rows.append({"stage": FOOTPRINT_STAGE, "precision": precision, "peak_bytes": most})
    return rows


def _check_names(kind: str, names: Sequence[str], known: Sequence[str] | dict[str, Stage]) -> None:
    if not names:
        raise BenchError(f"name at least one {kind}: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)
