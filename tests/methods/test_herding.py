from __future__ import annotations

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.support.seeds import make_generator
from methods.herding import Herding, herding_order


def gaps(features: Tensor, chosen: list[int]) -> Tensor:
    """Distance of the mean to the class mean if row i came next; infinite for rows chosen."""
    mean = features.mean(0)
    result = torch.full((len(features),), torch.inf, dtype=torch.float64)
    for i in range(len(features)):
        if i not in chosen:
            result[i] = (features[[*chosen, i]].mean(0) - mean).norm()
    return result


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 14), columns=st.integers(1, 5), seed=st.integers(0, 2**32), data=st.data()
)
def test_every_choice_brings_the_mean_closest(
    rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, rows))
    features = torch.randn(rows, columns, generator=make_generator(seed), dtype=torch.float64) + 3
    order = herding_order(features, n).tolist()
    assert len(set(order)) == n
    for k, choice in enumerate(order):
        expected = gaps(features, order[:k])
        assert expected[choice] <= expected.min() + 1e-12


def test_float32_far_from_the_origin_chooses_as_float64() -> None:
    features = torch.randn(200, 16, generator=make_generator(0)) + 100
    assert torch.equal(herding_order(features, 30), herding_order(features.double(), 30))


def test_a_longer_choice_starts_with_the_shorter() -> None:
    features = torch.randn(50, 8, generator=make_generator(1))
    assert torch.equal(herding_order(features, 5), herding_order(features, 20)[:5])


def test_twins_are_chosen_once_each() -> None:
    assert sorted(herding_order(torch.ones(6, 3), 6).tolist()) == list(range(6))


@pytest.mark.parametrize("ipc", [1, 4])
def test_each_class_gives_ipc_distinct_images(ipc: int) -> None:
    real = tiny_real_set()
    method = begin(Herding, tiny_context(real), ipc, "convnet1(width=4)", embedding_epochs=1)
    method.step(0)
    chosen = method.state_dict()["indices"]
    assert torch.equal(real.labels[chosen], torch.arange(3).repeat_interleave(ipc))
    assert len(chosen.unique()) == 3 * ipc
