"""What an evaluation comes to: accuracies with their budget and cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean

from bench.support.errors import BenchError
from bench.support.outcomes import EvaluationBudget, EvaluationCost, EvaluationResult


class DivergedError(BenchError):
    """Every network of an evaluation diverged, so that there is no accuracy."""


@dataclass(frozen=True)
class Evaluation:
    """Accuracies of networks trained on a distilled set, with their budget and cost."""

    result: EvaluationResult
    budget: EvaluationBudget
    cost: EvaluationCost

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Percent of the test set, one per network, those that diverged included."""
        return self.result.accuracies

    @property
    def mean(self) -> float:
        """Mean accuracy of the networks that did not diverge, in percent."""
        return fmean(self.result.counted)


def with_distil_cost(evaluation: Evaluation, seconds: float, steps: int) -> Evaluation:
    """Return an evaluation whose cost also says what its distilled set had taken."""
    cost = replace(evaluation.cost, distil_seconds=seconds, distil_steps=steps)
    return replace(evaluation, cost=cost)
