from __future__ import annotations

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from fakes import MemoryCache
from torch import Tensor

from methods.herding import Herding
from methods.k_center import KCenter
from methods.k_means import KMeans
from methods.shared.embedding import class_features, shared_embedding

ARCH = "convnet1(width=4)"
BATCH_NORM = "convnet1(width=4,norm=batch)"


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_class_features_are_the_embedding_of_that_class(arch: str) -> None:
    ctx = tiny_context(tiny_real_set(per_class=70))
    network = shared_embedding(arch, 1, ctx)
    images = ctx.real.gather(torch.nonzero(ctx.real.labels == 2).flatten())
    expected = network.embed(images)
    torch.testing.assert_close(class_features(network, 2, ctx), expected)
    assert not expected.requires_grad


def test_one_embedding_serves_all_methods_and_every_ipc() -> None:
    cache = MemoryCache()
    for seed, (cls, ipc) in enumerate([(Herding, 1), (Herding, 3), (KCenter, 3), (KMeans, 3)]):
        ctx = tiny_context(seed=seed, cache=cache)
        begin(cls, ctx, ipc, ARCH, embedding_epochs=1).step(0)
    assert len(cache.entries) == 1


def test_choices_follow_the_seed_index_and_nothing_else() -> None:
    real = tiny_real_set(per_class=40)

    def choose(seed: int, seed_index: int) -> Tensor:
        ctx = tiny_context(real, seed, seed_index=seed_index)
        task = tiny_task(Herding, real, 5, ARCH, embedding_epochs=1)
        return Herding(task, ctx).select()

    assert torch.equal(choose(0, 0), choose(1, 0))
    assert not torch.equal(choose(0, 0), choose(0, 1))
