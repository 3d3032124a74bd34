"""Diagnostics of generators: what copies, collapses or confuses its classes is seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import tiny_real_set, unbalanced_real_set
from fakes import StopAfter
from torch import Tensor, nn

from bench.datasets.real_set import RealSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_generator import ImageGenerator
from bench.distilled.image_set import ImageSet
from bench.evaluation.diagnostics import diagnose
from bench.support.outcomes import GeneratorDiagnostics
from bench.support.stopping import Interrupted, Stop

REAL = tiny_real_set(3, 60, (1, 12, 12))


class Playing(ImageGenerator):
    """Shows real images: of a class any, only ``most`` of them, or those of the next class."""

    def __init__(self, real: RealSet, most: int = 1000, turned: int = 0) -> None:
        super().__init__()
        self.config: dict[str, Any] = {}
        self.idle = nn.Parameter(torch.zeros(1))
        self.real, self.most, self.turned = real, most, turned

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        pools = self.real.class_indices
        chosen = []
        for label in ((labels + self.turned) % len(pools)).tolist():
            pool = pools[label][: self.most]
            chosen.append(pool[torch.randint(len(pool), (), generator=generator)])
        return self.real.images[torch.stack(chosen)].float() / 127.5 - 1


def generator(seed: int = 1, **how: Any) -> GeneratorSet:
    return GeneratorSet(REAL.spec, "playing", Playing(REAL, **how), {"random_seed": seed})


def found(seed: int = 1, **how: Any) -> GeneratorDiagnostics:
    made = diagnose(generator(seed, **how), REAL, Stop())
    assert made is not None
    return made


@pytest.fixture(scope="module")
def faithful() -> GeneratorDiagnostics:
    return found()


def test_a_faithful_generator(faithful: GeneratorDiagnostics) -> None:
    assert faithful.per_class == 30
    assert faithful.real_accuracy > 90
    assert faithful.accuracy > 90
    assert faithful.precision > 0.5
    assert faithful.recall > 0.5
    assert faithful.coverage > 0.5
    assert faithful.diversity == pytest.approx(1, abs=0.15)


def test_a_collapsed_generator_is_precise_but_not_varied(faithful: GeneratorDiagnostics) -> None:
    collapsed = found(most=1)
    assert collapsed.accuracy > 90
    assert collapsed.diversity == pytest.approx(0, abs=1e-6)
    assert collapsed.recall < 0.1
    assert collapsed.coverage < faithful.coverage / 2
    assert collapsed.real_accuracy == faithful.real_accuracy, "the network is the same"


def test_a_generator_of_wrong_classes(faithful: GeneratorDiagnostics) -> None:
    turned = found(turned=1)
    assert turned.accuracy < 10
    assert turned.precision < 0.1
    assert turned.recall < 0.1
    assert turned.diversity == pytest.approx(faithful.diversity, abs=0.15)


def test_they_follow_from_the_seed_and_move_no_other(faithful: GeneratorDiagnostics) -> None:
    before = torch.get_rng_state()
    again = found()
    assert torch.equal(torch.get_rng_state(), before)
    assert again == faithful
    assert found(seed=2).real_accuracy == faithful.real_accuracy


def test_what_has_no_diagnostics() -> None:
    stored = ImageSet(REAL.spec, REAL.images, REAL.labels, {})
    assert diagnose(stored, REAL, Stop()) is None
    few = unbalanced_real_set(12, 40, 40)  # half a class is less than neighbours need
    assert diagnose(GeneratorSet(few.spec, "playing", Playing(few), {}), few, Stop()) is None
    small = tiny_real_set(3, 40, (1, 4, 4))  # halved three times, nothing is left
    assert diagnose(GeneratorSet(small.spec, "playing", Playing(small), {}), small, Stop()) is None


def test_it_ends_when_it_is_told_to() -> None:
    with pytest.raises(Interrupted):
        diagnose(generator(), REAL, StopAfter(5))
