"""What a distillation and an evaluation come to: results, budgets and costs, described once.

The pure functions return these types and the records on disk hold the same ones. Times are in
seconds, sizes in bytes, accuracies in percent. Later versions may add fields with defaults only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import msgspec

from bench.support.untrusted import Limit

Seconds = Annotated[float, msgspec.Meta(ge=0, lt=Limit.AMOUNT)]
Joules = Seconds
Count = Annotated[int, msgspec.Meta(ge=0, le=Limit.AMOUNT - 1)]
Percentage = Annotated[float, msgspec.Meta(ge=0, le=100)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Ratio = Seconds


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one computation took, over all attempts.

    Attributes:
        seconds: wall time.
        cpu_seconds: processor time of the process, all threads; ``None`` where it is not measured.
        attempts: how often the computation was started or resumed in its store until it was done,
            attempts that failed, or were killed before their first checkpoint, included.
        peak_host_bytes: the most memory that the process held resident.
        peak_device_bytes: the most memory that torch allocated on a GPU.
        energy_joules: of the whole GPU, or of all CPU packages, other programs included.
    """

    seconds: Seconds
    cpu_seconds: Seconds | None = None
    attempts: Count | None = None
    peak_host_bytes: Count | None = None
    peak_device_bytes: Count | None = None
    energy_joules: Joules | None = None


@dataclass(frozen=True, kw_only=True)
class DistilCost(Cost):
    """What a distilled set took.

    Attributes:
        shared_seconds: of shared work (an embedding, expert trajectories) that it used, in full,
            whether this cell or another one made it; ``seconds``, ``cpu_seconds`` and
            ``energy_joules`` are without it, the peaks of memory are not. Records of early
            versions have what the cell made itself in both.
        total_seconds: from nothing: its own time, shared work and the sets that it depends on.
        total_steps: its own steps and those of the sets that it depends on.
        diagnostics_seconds: of the diagnostics of a generator, which are part of no other time;
            ``None`` where there are none.
    """

    shared_seconds: Seconds = 0.0
    total_seconds: Seconds
    total_steps: Count
    diagnostics_seconds: Seconds | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationCost(Cost):
    """What an evaluation took, beside what its distilled set had taken before.

    Attributes:
        distil_seconds: ``total_seconds`` of the distilled set.
        distil_steps: ``total_steps`` of the distilled set.
    """

    distil_seconds: Seconds = 0.0
    distil_steps: Count = 0


@dataclass(frozen=True, kw_only=True)
class DistilBudget:
    """What a distilled set occupies.

    Attributes:
        stored_bytes: of its tensors as stored; soft labels count, hard labels do not.
    """

    stored_bytes: Count


@dataclass(frozen=True, kw_only=True)
class EvaluationBudget:
    """What the networks of an evaluation were given.

    Attributes:
        nominal_ipc: images per class, as asked; ``None`` for a set of its own size.
        stored_bytes: that must be kept to train this way.
        distinct_images: different images shown to one network, before augmentation.
        training_steps: optimiser steps of one network.
    """

    nominal_ipc: Count | None
    stored_bytes: Count
    distinct_images: Count
    training_steps: Count


@dataclass(frozen=True, kw_only=True)
class DistilResult:
    """What a distillation came to.

    Attributes:
        kind: of the distilled set: ``image``, ``factored``, ``generator`` or ``real-stream``.
        steps: that the method took.
        scalars: the last ones that it reported, its losses for instance.
        warnings: what is probably wrong with the set; ``None`` if nothing is.
    """

    kind: str
    steps: Count
    scalars: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorDiagnostics:
    """How the images of a generator lie among real ones; see :mod:`bench.evaluation.diagnostics`.

    Shares and the ratio are means over the classes, in the embedding of a network that was trained
    on other real images.

    Attributes:
        precision: the share of drawn images that lie among real ones of their class.
        recall: the share of real images that lie among drawn ones of their class.
        coverage: the share of real images that have a drawn one among their nearest neighbours.
        diversity: the mean distance of drawn images of a class from each other, as a multiple of
            that of real ones; ``None`` where real ones do not differ.
        accuracy: of the network on drawn images, in percent.
        real_accuracy: of the network on the real images that it is compared with, in percent.
        per_class: drawn, and real, images of each class that were compared.
    """

    precision: Share
    recall: Share
    coverage: Share
    diversity: Ratio | None
    accuracy: Percentage
    real_accuracy: Percentage
    per_class: Count


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What an evaluation came to; one entry per network where plural.

    Attributes:
        accuracies: percent of the test set; those of networks that diverged mean nothing.
        final_losses: mean training loss of the last batch; ``None`` if it was not finite.
        selection: which step's accuracy counts: ``last``, or ``test-oracle`` for the best of
            several looks at the test set.
        epochs: passes over the distilled set.
        learning_rate: of the first epoch.
        labels: ``hard`` or ``soft``; ``None`` in old records, whose sets had hard ones.
        diverged: the networks, counted from 0, of which a training loss, a weight or an output on
            the test set was not finite; ``None`` if none was. Read :attr:`diverged_nets`.
        warnings: what the architecture's plugin did beside its work; ``None`` if nothing.
    """

    accuracies: Annotated[tuple[Percentage, ...], msgspec.Meta(min_length=1)]
    final_losses: tuple[float | None, ...]
    selection: str
    epochs: Count
    learning_rate: float
    labels: str | None = None
    diverged: tuple[Count, ...] | None = None
    warnings: tuple[str, ...] | None = None

    @property
    def diverged_nets(self) -> tuple[int, ...]:
        """The networks that diverged; old records say only which have no loss."""
        if not self.diverged and None not in self.final_losses:
            return ()
        named = {*(self.diverged or ())}
        named |= {i for i, loss in enumerate(self.final_losses) if loss is None}
        return tuple(i for i in range(len(self.accuracies)) if i in named)

    @property
    def counted(self) -> tuple[float, ...]:
        """The accuracies of the networks that did not diverge, over which means are taken."""
        left_out = set(self.diverged_nets)
        if not left_out:
            return self.accuracies
        return tuple(a for i, a in enumerate(self.accuracies) if i not in left_out)

    @property
    def why_nothing_counts(self) -> str | None:
        """Why the evaluation has failed, if every network diverged."""
        if self.counted:
            return None
        return (
            f"{diverged_text(len(self.accuracies), len(self.accuracies))}: a loss, weight or "
            "output is not finite; a lower learning rate may help"
        )


def diverged_text(diverged: int, nets: int) -> str:
    """Return how many of the networks diverged: ``2 of 5 networks diverged``."""
    return f"{diverged} of {nets} network{'s' if nets != 1 else ''} diverged"


Outcome = (
    GeneratorDiagnostics | Cost | DistilBudget | EvaluationBudget | DistilResult | EvaluationResult
)


def plain(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain JSON values.

    What is ``None`` because it was not measured, or does not exist, is left out.
    """
    values: dict[str, Any] = {}
    for each in fields(outcome):
        value = getattr(outcome, each.name)
        if value is None and each.default is None:
            continue
        if isinstance(value, GeneratorDiagnostics):
            value = plain(value)
        values[each.name] = list(value) if isinstance(value, tuple) else value
    return values
