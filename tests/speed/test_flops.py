"""The operations that an image needs in each stage, as counted in the plain loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plain.flops import count, dm_flops, gan_flops, matching_flops, train_flops
from replay import small_real_set

from bench.datasets.real_set import RealSet
from bench.speed.stages import STAGES, made_up_set

COUNTED: dict[str, Callable[[RealSet], float]] = {
    **dict.fromkeys(("evaluation-ipc1", "evaluation-ipc10", "evaluation-ipc50"), train_flops),
    "dm": dm_flops, "gan": gan_flops, "matching": matching_flops,
}  # fmt: skip


@pytest.mark.parametrize("stage", COUNTED)
def test_stages_know_their_operations(stage: str) -> None:
    real = made_up_set(torch.device("cpu"))
    assert STAGES[stage].flops == pytest.approx(COUNTED[stage](real), rel=1e-12)


def test_flops_are_those_of_the_network() -> None:
    """A 3x3 convolution costs 18 operations an input channel, output channel and pixel."""
    forward = 18 * 128 * (3 * 32**2 + 128 * 16**2 + 128 * 8**2) + 2 * 2048 * 10
    first = 18 * 128 * 3 * 32**2  # whose input needs no gradient
    assert train_flops(small_real_set(10, 3)) == pytest.approx(3 * forward - first)
    a, b = torch.zeros(4, 5), torch.zeros(5, 6)
    assert count(lambda: a @ b) == 2 * 4 * 5 * 6
