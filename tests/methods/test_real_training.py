from __future__ import annotations

import pytest
import torch
from helpers import tiny_context, tiny_real_set
from torch import Tensor
from torch.nn import functional as F

from bench.seeds import make_generator
from methods.real_training import epoch_batches, train_on_real

ARCH = "convnet1(width=4)"
BATCH_NORM = "convnet1(width=4,norm=batch)"


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


@pytest.mark.parametrize("pool", [None, torch.arange(3, 30, 2)])
def test_one_epoch_is_one_step_of_sgd_on_the_mean_loss(pool: Tensor | None) -> None:
    real, ctx, same = tiny_real_set(), tiny_context(), tiny_context()
    made = train_on_real(ARCH, 1, ctx, pool=pool).state_dict()
    chosen = torch.arange(len(real)) if pool is None else pool
    network = same.network(ARCH).train().double()
    loss = F.cross_entropy(network(real.gather(chosen).double()), real.labels[chosen])
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None
        expected = weight - 0.01 * (weight.grad + 5e-4 * weight)
        torch.testing.assert_close(made[name].double(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_training_lowers_the_loss(arch: str) -> None:
    losses = []
    for epochs in (0, 60):
        ctx = tiny_context()
        network = train_on_real(arch, epochs, ctx).eval()
        with torch.no_grad():
            logits = network(ctx.real.gather(torch.arange(len(ctx.real))))
        losses.append(F.cross_entropy(logits, ctx.real.labels).item())
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_every_batch_is_observed_before_its_step(arch: str) -> None:
    real = tiny_real_set(per_class=100)
    pool = torch.arange(10, len(real))
    seen: list[tuple[Tensor, Tensor]] = []
    train_on_real(arch, 2, tiny_context(real), pool=pool, observe=lambda *what: seen.append(what))
    assert [len(indices) for indices, _ in seen] == [256, 34, 256, 34]
    for first in (0, 2):
        indices = torch.cat([seen[first][0], seen[first + 1][0]])
        assert torch.equal(indices.sort().values, pool)
    indices, logits = seen[0]
    untrained = tiny_context(real).network(arch).train()
    assert not logits.requires_grad
    torch.testing.assert_close(logits, untrained(real.gather(indices)).detach())
    indices, logits = seen[1]
    assert (logits - untrained(real.gather(indices))).abs().max() > 1e-3
