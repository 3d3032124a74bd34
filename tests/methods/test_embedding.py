from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from helpers import begin, tiny_context, tiny_real_set, tiny_task
from torch import Tensor
from torch.nn import functional as F

from bench.seeds import make_generator
from methods.embedding import class_features, epoch_batches, shared_embedding, train_embedding
from methods.herding import Herding
from methods.k_center import KCenter

ARCH = "convnet1(width=4)"
BATCH_NORM = "convnet1(width=4,norm=batch)"


class MemoryCache:
    """Keeps shared tensors in a list, and counts what was put."""

    def __init__(self) -> None:
        self.kept: list[tuple[dict[str, Any], dict[str, Tensor], float]] = []

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], float] | None:
        return next(((t, s) for k, t, s in self.kept if k == dict(key)), None)

    def put(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], seconds: float) -> None:
        self.kept.append((dict(key), dict(tensors), seconds))


@pytest.mark.parametrize(
    ("n", "epochs", "sizes"),
    [(600, 1, [256, 256, 88]), (600, 1.5, [256, 256, 88, 256, 256]), (600, 0.01, [256]),
     (100, 2, [100, 100]), (100, 0, [])],
)  # fmt: skip
def test_batches_cover_each_epoch_once(n: int, epochs: float, sizes: list[int]) -> None:
    batches = list(epoch_batches(n, epochs, make_generator(0)))
    assert [len(batch) for batch in batches] == sizes
    if epochs >= 1:
        first = torch.cat(batches[: len(sizes) // int(epochs)])[:n]
        assert torch.equal(first.sort().values, torch.arange(n))
        assert not torch.equal(first, torch.arange(n))


def test_one_epoch_is_one_step_of_sgd_on_the_mean_loss() -> None:
    real, ctx, same = tiny_real_set(), tiny_context(), tiny_context()
    made = train_embedding(ARCH, 1, ctx)
    network = same.network(ARCH).train().double()
    loss = F.cross_entropy(network(real.gather(torch.arange(len(real))).double()), real.labels)
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None
        expected = weight - 0.01 * (weight.grad + 5e-4 * weight)
        torch.testing.assert_close(made[name].double(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_training_lowers_the_loss(arch: str) -> None:
    ctx = tiny_context()
    network = tiny_context().network(arch)
    losses = []
    for epochs in (0, 60):
        network.load_state_dict(train_embedding(arch, epochs, tiny_context()))
        with torch.no_grad():
            logits = network.eval()(ctx.real.gather(torch.arange(len(ctx.real))))
        losses.append(F.cross_entropy(logits, ctx.real.labels).item())
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_class_features_are_the_embedding_of_that_class(arch: str) -> None:
    ctx = tiny_context(tiny_real_set(per_class=70))
    network = shared_embedding(arch, 1, ctx)
    images = ctx.real.gather(torch.nonzero(ctx.real.labels == 2).flatten())
    expected = network.embed(images)
    torch.testing.assert_close(class_features(network, 2, ctx), expected)
    assert not expected.requires_grad


def test_one_embedding_serves_both_methods_and_every_ipc() -> None:
    cache = MemoryCache()
    for seed, (cls, ipc) in enumerate([(Herding, 1), (Herding, 3), (KCenter, 3)]):
        ctx = tiny_context(seed=seed, cache=cache)
        begin(cls, ctx, ipc, ARCH, embedding_epochs=1).step(0)
    assert len(cache.kept) == 1


def test_choices_follow_the_seed_index_and_nothing_else() -> None:
    real = tiny_real_set(per_class=40)

    def choose(seed: int, seed_index: int) -> Tensor:
        ctx = tiny_context(real, seed, seed_index=seed_index)
        task = tiny_task(Herding, real, 5, ARCH, embedding_epochs=1)
        return Herding().select(task, ctx)

    assert torch.equal(choose(0, 0), choose(1, 0))
    assert not torch.equal(choose(0, 0), choose(0, 1))
