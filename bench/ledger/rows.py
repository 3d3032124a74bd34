"""What the rows of a store say: one per evaluation, and one per cell without a result.

These classes are the one description of what a report knows of a record. The columns of a frame
are their fields (:mod:`bench.ledger.frames`), and a result in a table pools evaluations that have
the same :class:`Setting` (:mod:`bench.report.aggregate`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.ledger.cell import percent_mark
from bench.registry.presentation import Presentation


@dataclass(frozen=True)
class Conditions:
    """How an accuracy was measured; results under other conditions are in another table.

    Attributes:
        dataset: its registered name.
        dataset_note: what sets it apart from the official data; usually empty.
        dataset_sha256: names its content.
        n_test: how many test images there are.
        eval_arch: the architecture evaluated with.
        protocol: with its version, ``default-v1``.
        selection: which step's accuracy counts: ``last`` or ``test-oracle``.
        precision: ``fp32``, ``tf32`` or ``bf16``.
    """

    dataset: str
    dataset_note: str
    dataset_sha256: str
    n_test: int
    eval_arch: str
    protocol: str
    selection: str
    precision: str


@dataclass(frozen=True)
class Setting(Conditions):
    """What the evaluations of one result have in common: all but the seed.

    Attributes:
        method: its registered name.
        method_version: results of different versions are never pooled.
        profile: whose parameters: ``paper``, ``lite``, ..., ``any`` (they all agree) or ``custom``.
        changed: parameters that differ from the profile's.
        ipc: images per class; ``None`` where the distilled set has a size of its own.
        mode: how the distilled set was used: ``stored``, ``stream`` or ``frozen``.
        arch: the architecture distilled with; empty if the method uses none.
        labels: ``hard`` or ``soft``.
        origin: ``bench``, or ``imported`` for a distilled set that was made elsewhere.
        plugin_source: the source of the plugins that computed it, hashed; empty for those of bench
            itself, and where it was not recorded.
        percent: after how much of its distillation the set was taken, in percent of the steps;
            ``None`` for the final set. ``changed`` says so too.
    """

    method: str
    method_version: int
    profile: str
    changed: str
    ipc: int | None
    mode: str
    arch: str
    labels: str
    origin: str
    plugin_source: str
    percent: int | None

    @property
    def changed_besides_steps(self) -> str:
        """Return ``changed`` without the share of the steps, which points of a curve differ in."""
        mark = percent_mark(self.percent)
        return ", ".join(part for part in self.changed.split(", ") if part != mark)


@dataclass(frozen=True)
class Evaluation(Setting):
    """One successful evaluation of one distilled set.

    Attributes:
        seed: the seed index of the distillation.
        accuracies: one per network that did not diverge, in percent.
        nets: how many networks were trained.
        stored_as: how the images were stored, see :class:`bench.ledger.cell.EvaluateCell`; other
            than as made, ``changed`` says so too, so that such results are never pooled.
        diverged: which of them diverged, counted from 0.
        distil_id: the cell of the distilled set.
        cell_id: the cell of this evaluation.
        distil_steps: of the distilled set and the sets that it depends on.
        distil_seconds: wall time of the distilled set, with shared work and what it depends on.
        eval_seconds: wall time of this evaluation.
        stored_bytes: what must be kept to train this way.
        distinct_images: different images shown to one network, before augmentation.
        training_steps: optimiser steps of one network.
        device: where the evaluation ran.
        threads: of the process that evaluated; 0 where the record does not say.
        distil_threads: of the process that made the distilled set; 0 where that is not known.
        artefact: the path of the distilled set, which need not exist here.
        presentation: what the method declared for reports when it ran; no column of a frame.
        num_classes: of the dataset; ``None`` in records that do not say it; no column of a frame.
        newest_version: of the method in the store or installed, whatever rows were selected; 0
            where that is not known; no column of a frame.
        distil_device: where the distilled set was made; empty where that is not known; no column
            of a frame.
    """

    seed: int
    accuracies: tuple[float, ...]
    nets: int
    stored_as: str
    diverged: tuple[int, ...]
    distil_id: str
    cell_id: str
    distil_steps: int
    distil_seconds: float
    eval_seconds: float
    stored_bytes: int
    distinct_images: int
    training_steps: int
    device: str
    threads: int
    distil_threads: int
    artefact: str
    presentation: Presentation = field(default=Presentation(), compare=False)
    num_classes: int | None = field(default=None, compare=False)
    newest_version: int = field(default=0, compare=False)
    distil_device: str = field(default="", compare=False)

    @property
    def by_network(self) -> dict[int, float]:
        """Return the accuracies by network, counted from 0, without those that diverged."""
        counted = (net for net in range(self.nets) if net not in self.diverged)
        return dict(zip(counted, self.accuracies, strict=True))


@dataclass(frozen=True)
class Failure:
    """One cell that failed or was skipped.

    Attributes:
        dataset, method, profile, ipc, mode, eval_arch, seed: as in :class:`Evaluation`; mode and
            eval_arch are empty for a distillation.
        status: ``failed``, ``skipped``, ``busy`` if it was left to another run, ``missing`` if a
            request asks for it and the store does not hold it, or ``not available`` if its dataset
            is not on this machine.
        reason: why, in words; may be empty.
        cell_id: the cell.
        protocol: with its version; empty for a distillation, and where a record does not name it.
    """

    dataset: str
    method: str
    profile: str
    ipc: int | None
    mode: str
    eval_arch: str
    seed: int
    status: str
    reason: str
    cell_id: str
    protocol: str = ""


class Rows(NamedTuple):
    """What a report is made of."""

    evaluations: list[Evaluation]
    failures: list[Failure]


def newest_versions(settings: Iterable[Setting]) -> dict[str, int]:
    """Return the newest version of each method among settings, by the method's name."""
    newest: dict[str, int] = {}
    for one in settings:
        newest[one.method] = max(one.method_version, newest.get(one.method, 0))
    return newest
