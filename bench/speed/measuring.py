"""Timings of rivals that take turns, so that changes of the machine's load affect all alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bench.networks.precision import float32_mode
from bench.speed.machine import page_faults
from bench.support.glibc_memory import keep_freed_memory

# Of a run, in seconds: less is not measured.
_SHORTEST = 1e-6
# Does so many units of work and returns the seconds that they took.
Runner = Callable[[int], float]


@dataclass(frozen=True)
class Observation:
    """One timed run: its seconds, and the pages of memory that it was given meanwhile."""

    seconds: float
    page_faults: int


# Does so many units of work under the conditions of its side.
Observer = Callable[[int], Observation]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several values."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise values; there must be one."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Side:
    """One rival.

    Attributes:
        name: ``plain`` or ``ours``.
        precision: one of :data:`bench.networks.precision.PRECISIONS`.
        observe: does so many units of work and says what they took.
    """

    name: str
    precision: str
    observe: Observer


@dataclass
class Timing:
    """What one rival took.

    Attributes:
        side: the rival.
        units: units of work of each repeat.
        runs: one observation per repeat.
    """

    side: Side
    units: int
    runs: list[Observation] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Units a second of each repeat."""
        return [self.units / run.seconds for run in self.runs]


def alternate(
    sides: Sequence[Side], repeats: int, seconds: float, say: Callable[[str], None]
) -> list[Timing]:
    """Let the rivals work in turn, ``repeats`` times.

    Before it is timed, each side does one unit to warm up and others to see how many units fill
    ``seconds``; and one unit more before every repeat, as it finds memory as the other left it.

    Args:
        sides: the rivals.
        repeats: timed runs of each.
        seconds: about how long each run should take; one unit at least.
        say: receives what is being done.
    """
    timings = []
    for side in sides:
        say(f"{side.name} {side.precision}: warming up")
        side.observe(1)
        timings.append(Timing(side, _units_in(seconds, side)))
    for repeat in range(repeats):
        for timing in timings:
            say(f"{timing.side.name} {timing.side.precision}: {repeat + 1} of {repeats}")
            timing.side.observe(1)
            timing.runs.append(timing.side.observe(timing.units))
    return timings


def _units_in(seconds: float, side: Side) -> int:
    """Return how many units of work a side does in about so many seconds; 1 at least.

    A unit can be much shorter than what precedes every run (networks are built, steps recorded), so
    only a run of about that length is taken for the measure.
    """
    units = 1
    while True:
        spent = max(side.observe(units).seconds, _SHORTEST)
        if spent >= seconds / 2:
            return max(1, round(units * seconds / spent))
        units = math.ceil(units * seconds / spent)


def observer(run: Runner, threads: int, device: torch.device, precision: str) -> Observer:
    """Return an observer of ``run`` that counts page faults too.

    Args:
        run: does units of work.
        threads: torch's, of operations.
        device: that it works on.
        precision: in which.
    """

    def observe(units: int) -> Observation:
        torch.set_num_threads(threads)
        keep_freed_memory()
        before = page_faults()
        with float32_mode(device, precision):
            seconds = run(units)
        return Observation(seconds, page_faults() - before)

    return observe
