"""Expert trajectories: plain SGD, made once, epoch by epoch, when they are first needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from builders import tiny_context, tiny_real_set
from torch import Tensor

from bench.distillation.context import Context
from bench.ledger.shared import SharedFolder
from bench.support.attempt import SharedResult
from methods.mtt import expert_trajectories
from methods.mtt.expert_trajectories import ExpertRecipe, ExpertTrajectories
from methods.shared.real_training import epoch_batches

ARCH = "convnet2(width=4)"
RECIPE: dict[str, Any] = {"arch": ARCH, "lr": 0.05, "dsa": "none", "batches": None, "epsilon": None}


class Counting(SharedFolder):
    """Counts what is written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[tuple[int, int]] = []

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        super().put(key, result)
        if key["what"] == "expert":
            self.written.append((key["expert"], key["epoch"]))


def experts(ctx: Context, **changes: Any) -> ExpertTrajectories:
    return ExpertTrajectories(ExpertRecipe(**{**RECIPE, **changes}), ctx)


def equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_an_epoch_is_plain_gradient_descent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tiny_real_set(per_class=200)  # 600 images: three batches
    ctx = tiny_context(real, cache=SharedFolder(tmp_path))
    batches: list[Tensor] = []

    def record(*arguments: Any) -> Iterator[Tensor]:
        batches.extend(epoch_batches(*arguments))
        yield from batches

    monkeypatch.setattr(expert_trajectories, "epoch_batches", record)
    mine = experts(ctx)
    before, after = mine.weights(0, 0), mine.weights(0, 1)
    network = ctx.network(ARCH).train().double()
    network.load_state_dict(before)
    assert len(torch.cat(batches).unique()) == 600
    for batch in batches:
        loss = F.cross_entropy(network(real.gather(batch).double()), real.labels[batch])
        network.zero_grad()
        loss.backward()
        for parameter in network.parameters():
            parameter.data -= 0.05 * parameter.grad
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(after[name].double(), parameter.data, rtol=1e-4, atol=1e-5)


def test_each_epoch_is_made_once_and_no_further_than_asked(tmp_path: Path) -> None:
    cache = Counting(tmp_path)
    first = experts(tiny_context(cache=cache))
    at_two = first.weights(0, 2)
    assert sorted(cache.written) == [(0, 0), (0, 1), (0, 2)]
    second = experts(tiny_context(seed=9, seed_index=3, cache=cache))
    assert equal(second.weights(0, 2), at_two)
    second.weights(0, 3)
    second.weights(1, 0)
    assert sorted(cache.written) == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]


def test_every_cell_makes_the_same(tmp_path: Path) -> None:
    """Whole or in stretches, and if a file in the middle is lost."""
    recipe = {"dsa": "color_crop"}
    whole = experts(tiny_context(cache=SharedFolder(tmp_path / "a")), **recipe).weights(1, 3)
    cache = Counting(tmp_path / "b")
    other = experts(tiny_context(seed=5, cache=cache), **recipe)
    other.weights(1, 1)
    for path in (tmp_path / "b" / "shared").iterdir():
        path.write_bytes(b"damaged")
    assert equal(other.weights(1, 3), whole)
    assert equal(experts(tiny_context(), **recipe).weights(1, 3), whole)  # without a cache too


@pytest.mark.parametrize(
    "changes",
    [{"lr": 0.1}, {"dsa": "crop"}, {"batches": 1}, {"epsilon": 0.1}, {"arch": "convnet1(width=4)"}],
)
def test_the_recipe_decides(changes: dict[str, Any], tmp_path: Path) -> None:
    ctx = tiny_context(tiny_real_set(per_class=200), cache=Counting(tmp_path))
    usual, other = experts(ctx).weights(0, 1), experts(ctx, **changes).weights(0, 1)
    assert usual.keys() != other.keys() or not equal(usual, other)


def test_experts_differ_and_learn(tmp_path: Path) -> None:
    real = tiny_real_set()
    ctx = tiny_context(real, cache=SharedFolder(tmp_path))
    mine = experts(ctx)
    assert not equal(mine.weights(0, 1), mine.weights(1, 1))
    network, losses = ctx.network(ARCH).train(), []
    images = real.gather(torch.arange(len(real)))
    for epoch in (0, 20):
        network.load_state_dict(mine.weights(0, epoch))
        losses.append(F.cross_entropy(network(images), real.labels).item())
    assert losses[1] < 0.8 * losses[0]


def test_whitened_experts_share_the_statistics(tmp_path: Path) -> None:
    cache = SharedFolder(tmp_path)
    first, second = (experts(tiny_context(cache=cache), epsilon=0.1) for _ in range(2))
    assert first.zca is not None
    assert second.zca is not None
    assert torch.equal(first.zca.matrix, second.zca.matrix)
    assert experts(tiny_context(cache=cache)).zca is None


def test_a_rehearsal_trains_none(tmp_path: Path) -> None:
    cache = Counting(tmp_path)
    rehearsed = experts(tiny_context(cache=cache, rehearsal=True)).weights(0, 40)
    assert not cache.written
    assert rehearsed.keys() == experts(tiny_context()).weights(0, 0).keys()
