from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import tiny_context, tiny_real_set
from fakes import StopAfter
from torch import Tensor
from torch.nn import functional as F

from bench.distillation.context import Context
from bench.ledger.shared import SharedFolder
from bench.support.attempt import SharedResult
from bench.support.seeds import make_generator
from bench.support.stopping import Interrupted, Stop
from methods.shared.real_training import epoch_batches, train_on_real

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


class Watcher:
    """Remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def see(self, indices: Tensor, logits: Tensor) -> None:
        self.seen.append((indices, logits))

    def state_dict(self) -> dict[str, Tensor]:
        return {f"{i}.{part}": value for i, pair in enumerate(self.seen)
                for part, value in zip("xy", pair, strict=True)}  # fmt: skip

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        count = len(state) // 2
        self.seen = [(state[f"{i}.x"], state[f"{i}.y"]) for i in range(count)]


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_every_batch_is_observed_before_its_step(arch: str) -> None:
    real = tiny_real_set(per_class=100)
    pool = torch.arange(10, len(real))
    watcher = Watcher()
    train_on_real(arch, 2, tiny_context(real), pool=pool, observer=watcher)
    seen = watcher.seen
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


class OnlyCheckpoints(SharedFolder):
    """Keeps checkpoints of shared work, but no results: every call computes."""

    def get(self, key: Mapping[str, Any]) -> None:
        return None

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        pass


@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_a_training_that_was_ended_goes_on_as_if_it_was_not(arch: str, tmp_path: Path) -> None:
    real, key = tiny_real_set(per_class=100), {"what": "test", "arch": arch}

    def work(stop: Stop) -> tuple[dict[str, Tensor], Watcher]:
        watcher = Watcher()
        ctx = tiny_context(real, cache=OnlyCheckpoints(tmp_path), stop=stop)

        def make(inner: Context) -> dict[str, Tensor]:
            return dict(train_on_real(arch, 3, inner, observer=watcher).state_dict())

        return ctx.shared(key, make), watcher

    expected, whole = work(Stop())
    for ended in range(1, 6):
        with pytest.raises(Interrupted):
            work(StopAfter(ended))
        assert len(list(tmp_path.glob("shared/*.checkpoint.safetensors"))) == 1
        found, watcher = work(Stop())
        assert not list(tmp_path.glob("shared/*.checkpoint.safetensors"))
        assert found.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in found.items())
        assert len(watcher.seen) == len(whole.seen) == 6
        for (mine, logits), (theirs, others) in zip(watcher.seen, whole.seen, strict=True):
            assert torch.equal(mine, theirs)
            assert torch.equal(logits, others)


def test_a_state_that_does_not_fit_is_put_aside(tmp_path: Path) -> None:
    real, notes = tiny_real_set(), list[str]()

    def work(arch: str, stop: Stop) -> dict[str, Tensor]:
        ctx = tiny_context(real, cache=OnlyCheckpoints(tmp_path, note=notes.append), stop=stop)
        make = lambda inner: dict(train_on_real(arch, 2, inner).state_dict())  # noqa: E731
        return ctx.shared({"what": "test"}, make)

    with pytest.raises(Interrupted):
        work("convnet1(width=8)", StopAfter(1))
    found = work(ARCH, Stop())
    assert len(notes) == 1
    assert "the checkpoint does not fit" in notes[0]
    assert len(list(tmp_path.glob("shared/*.damaged"))) == 1
    expected = work(ARCH, Stop())
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
