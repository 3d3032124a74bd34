"""What an estimate says of a cell, and how cells that are done correct it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from bench.grid.rates import H100, Rates
from bench.grid.work import CountedWork
from bench.ledger.store import Store

# The truth is within so many times the estimate, or one over that: on counted work (measured on
# two cores for six kinds of work), where cells of the kind took so long, where one step was timed,
# and where only similar cells were counted.
_SPREAD = {"counted": 1.5, "records": 1.25, "timed": 2.0, "at least": 1.5, "similar": 4.0}
# Of cells that are done, so many of each group are looked at.
_MOST_RECORDS = 3


@dataclass(frozen=True)
class Estimate:
    """How long a cell will take.

    Attributes:
        seconds: about so long, on this device.
        basis: ``counted`` work; ``records`` of such cells, which correct it; ``timed``, where the
            work cannot be counted; ``at least``, where counting took too long to finish; or
            ``similar`` cells of the same method and network, where there was no time to count.
        gpu: seconds on the GPU that :data:`bench.grid.rates.H100` guesses at; ``None`` if timed.
    """

    seconds: float
    basis: str
    gpu: float | None = None

    @property
    def low(self) -> float:
        """The least that it is likely to take."""
        return self.seconds if self.basis == "at least" else self.seconds / _SPREAD[self.basis]

    @property
    def high(self) -> float:
        """The most that it is likely to take."""
        return self.seconds * _SPREAD[self.basis]


def estimate_of(work: CountedWork, rates: Rates, factor: float | None) -> Estimate:
    """Return the estimate of a cell.

    Args:
        work: what it does.
        rates: of the device that does it.
        factor: see :func:`correction`.
    """
    seconds, gpu = rates.seconds(work.total), H100.seconds(work.total)
    if work.is_partial:
        return Estimate(seconds, "at least", gpu)
    if factor is None:
        return Estimate(seconds, "counted", gpu)
    return Estimate(seconds * factor, "records", gpu)


def correction(
    done: Iterable[tuple[str, float]], store: Store, device: str, threads: int
) -> float | None:
    """Return how many times as long as counted similar cells took; ``None`` if none can say.

    Args:
        done: ids of cells with the seconds that are counted for each; few of them are looked at.
        store: has their records.
        device: the type of device to estimate for; records of another type do not count.
        threads: of a process there, likewise.
    """
    factors: list[float] = []
    for cell_id, expected in done:
        record = store.read(cell_id)
        if record is None or record.outcome is None or not expected:
            continue
        environment = record.environment
        if (environment.get("device"), environment.get("threads")) == (device, threads):
            factors.append(record.outcome.cost.seconds / expected)
        if len(factors) == _MOST_RECORDS:
            break
    return median(factors) if factors else None
