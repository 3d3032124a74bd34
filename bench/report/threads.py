"""The threads that computed results: some sums are rounded by their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class Computed(Protocol):
    """What was computed with numbers of threads that records say.

    Attributes:
        threads: those that evaluating processes had; none where records do not say.
        distil_threads: those that distilling processes had, likewise.
    """

    @property
    def threads(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def distil_threads(self) -> tuple[int, ...]: ...  # noqa: D102


class Threads(NamedTuple):
    """The numbers of threads of several results; see :class:`Computed`."""

    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]


def pool_threads(results: Iterable[Computed]) -> Threads:
    """Return every number of threads that results were computed with, each once and rising."""
    every = list(results)
    return Threads(
        tuple(sorted({number for one in every for number in one.threads})),
        tuple(sorted({number for one in every for number in one.distil_threads})),
    )


def thread_notes(results: Iterable[Computed]) -> list[str]:
    """Return how many threads computed results, in one sentence; none where that is not known."""
    evaluated, distilled = pool_threads(results)
    if distilled == evaluated:
        parts = [_either(evaluated)] if evaluated else []
    else:
        known = ((distilled, "distil"), (evaluated, "evaluate"))
        parts = [f"{_either(numbers)} to {what}" for numbers, what in known if numbers]
    return [f"Threads of a process: {'; '.join(parts)}."] if parts else []


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
