from __future__ import annotations

import torch
from builders import begin, tiny_context, tiny_real_set
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.support.seeds import make_generator
from methods.k_center import KCenter, k_center_order


def distance_to_chosen(features: Tensor, chosen: list[int]) -> Tensor:
    """Distance of every row to its nearest chosen row; -1 for rows chosen."""
    result = torch.empty(len(features), dtype=torch.float64)
    for i in range(len(features)):
        apart = [(features[i] - features[j]).norm().item() for j in chosen]
        result[i] = -1 if i in chosen else min(apart)
    return result


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 14), columns=st.integers(1, 5), seed=st.integers(0, 2**32), data=st.data()
)
def test_every_choice_is_the_farthest(
    rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, rows))
    features = torch.randn(rows, columns, generator=make_generator(seed), dtype=torch.float64) + 3
    order = k_center_order(features, n).tolist()
    assert len(set(order)) == n
    to_mean = (features - features.mean(0)).norm(dim=1)
    assert to_mean[order[0]] <= to_mean.min() + 1e-12
    for k in range(1, n):
        expected = distance_to_chosen(features, order[:k])
        assert expected[order[k]] >= expected.max() - 1e-6


def test_a_line_is_covered_from_its_middle_to_its_ends() -> None:
    features = torch.tensor([[0.0], [4.0], [9.0], [5.2], [10.0], [2.0]])
    assert k_center_order(features, 4).tolist() == [3, 0, 4, 5]


def test_twins_are_chosen_once_each() -> None:
    assert sorted(k_center_order(torch.ones(6, 3), 6).tolist()) == list(range(6))


def test_each_class_gives_ipc_distinct_images() -> None:
    real = tiny_real_set()
    method = begin(KCenter, tiny_context(real), 4, "convnet1(width=4)", embedding_epochs=1)
    method.step(0)
    chosen = method.state_dict()["indices"]
    assert torch.equal(real.labels[chosen], torch.arange(3).repeat_interleave(4))
    assert len(chosen.unique()) == 12
