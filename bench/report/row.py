"""One result of a report: what a row of a table says, and its place among others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from bench.ledger.rows import Conditions, Setting
from bench.report.estimates import Spread
from bench.report.method_styles import MethodStyle, mode_rank, profile_rank
from bench.report.number_formats import ipc_order


@dataclass(frozen=True)
class Row(Setting):
    """One result: all seeds of one method under one setting.

    ``changed`` also says when the method has an older version than another result of the store or
    the installed method, or when another result is of plugins with other code.

    Attributes:
        mean: of the seeds' mean accuracies, over networks that did not diverge, in percent; of a
            set that is the same for every seed, over all networks.
        std: the sample standard deviation over all networks, every seed with the same weight;
            ``None`` of a single network.
        se: the standard error of ``mean``, from the seeds' means; of a single seed, from its
            networks; ``None`` of a single network.
        ci95: half the width of the 95 % interval of ``mean``, from ``se`` with a t quantile.
        error_over: what ``se`` and ``ci95`` are taken over: ``sets`` (one per seed),
            ``networks`` of the only set, which one seed has or all share, or empty.
        spread: which of ``std``, ``se`` and ``ci95`` tables print after the ±: ``sd``, ``se`` or
            ``ci95``.
        n: how many networks were counted.
        diverged: how many more were trained, but diverged.
        seeds: how many evaluations, one per seed, were combined.
        varies: what the spread ranges over, in words.
        stored_bytes: what must be kept to train: the largest, as seeds agree on it unless a
            distilled set chose its own size.
        distinct_images: shown to each network; the largest.
        training_steps: of each network; the largest.
        distil_steps: for one distilled set with what it starts from, mean over the distilled sets;
            training that many share (embeddings, experts) is none.
        distil_seconds: for one distilled set with what it starts from and shares, mean over them.
        new_distil_steps: ``distil_steps`` of the distilled sets that no earlier row has charged.
        new_distil_seconds: ``distil_seconds`` of those. What several share is in each of them, so
            rows do not add up.
        eval_seconds: mean per evaluation.
        device: where the evaluations ran.
        distil_device: where the distilled sets were made, or evaluated if that is not known.
        threads: the numbers that evaluating processes had; none where records do not say.
        distil_threads: those that distilling processes had, likewise.
        accuracies: of every network that did not diverge, in percent, in the order of the seeds.
        seed_means: the mean accuracy of each seed.
        distil_ids: the cells of the distilled sets.
        cell_ids: the cells of the evaluations.
        artefacts: paths of the distilled sets.
        style: how the method is shown; no column of a report.
        num_classes: of the dataset, where a record says it; no column of a report.
    """

    mean: float
    std: float | None
    se: float | None
    ci95: float | None
    error_over: str
    spread: Spread
    n: int
    diverged: int
    seeds: int
    varies: str
    stored_bytes: int
    distinct_images: int
    training_steps: int
    distil_steps: float
    distil_seconds: float
    new_distil_steps: float
    new_distil_seconds: float
    eval_seconds: float
    device: str
    distil_device: str
    threads: tuple[int, ...]
    distil_threads: tuple[int, ...]
    accuracies: tuple[float, ...]
    seed_means: tuple[float, ...]
    distil_ids: tuple[str, ...]
    cell_ids: tuple[str, ...]
    artefacts: tuple[str, ...]
    style: MethodStyle
    num_classes: int | None

    @property
    def conditions(self) -> Conditions:
        """Return how it was measured, which says what table it belongs to."""
        return Conditions(*_CONDITIONS(self))

    @property
    def plus_minus(self) -> float | None:
        """Return what tables print after the ±, in percentage points; ``None`` of one network."""
        return {"sd": self.std, "se": self.se, "ci95": self.ci95}[self.spread]

    @property
    def divergence(self) -> str:
        """Return ``2 of 5 diverged``; empty if no network did."""
        return f"{self.diverged} of {self.n + self.diverged} diverged" if self.diverged else ""

    @property
    def shared(self) -> bool:
        """Return whether all of its distilled sets were charged to earlier rows."""
        return self.distil_steps > 0 and self.new_distil_steps == 0


# The values of the fields that the class declares, in their order.
_CONDITIONS = attrgetter(*(each.name for each in fields(Conditions)))
# Tables hold final sets only, so that none has a percentage.
_NO_COLUMNS = ("style", "num_classes", "percent")
RESULT_COLUMNS = (
    *(f.name for f in fields(Row) if f.name not in _NO_COLUMNS), "plus_minus", "shared",
)  # fmt: skip


def blocks(rows: Iterable[Row]) -> dict[Conditions, list[Row]]:
    """Return results by the conditions that they were measured under, in their order."""
    groups: dict[Conditions, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.conditions, []).append(row)
    return groups


def result_fields(row: Row) -> dict[str, Any]:
    """Return a result's values by the names of :data:`RESULT_COLUMNS`."""
    return {name: getattr(row, name) for name in RESULT_COLUMNS}


def setting_order(setting: Setting, style: MethodStyle) -> tuple[Any, ...]:
    """Return the sort key of a result among others of the same conditions."""
    return (
        style.rank, setting.method, setting.method_version,
        profile_rank(setting.profile), setting.profile, setting.changed, setting.arch,
        setting.plugin_source, ipc_order(setting.ipc),
        mode_rank(setting.mode), setting.mode,
    )  # fmt: skip
