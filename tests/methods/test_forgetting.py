from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from fakes import MemoryCache
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.real_set import RealSet
from bench.distillation.context import Context
from bench.support.seeds import make_generator
from methods.forgetting import (
    Forgetting,
    ForgettingCounter,
    candidates,
    forgetting_score,
    most_forgotten,
    shared_counts,
)

ARCH = "convnet1(width=4)"


def hard_real_set() -> RealSet:
    """Noise for images: nothing to learn but by heart, so that much is forgotten."""
    real = tiny_real_set()
    noise = torch.randint(0, 256, real.images.shape, generator=make_generator(4))
    return replace(real, images=noise.to(torch.uint8))


def recount(history: list[list[bool]]) -> list[tuple[int, bool]]:
    """From each image's correctness at every presentation: its events, and if it was learned."""
    found = []
    for right in history:
        events = sum(before and not after for before, after in pairwise(right))
        found.append((events, any(right)))
    return found


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 20), epochs=st.integers(1, 9), classes=st.integers(2, 4),
    batch=st.integers(1, 8), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_events_are_those_of_the_history(
    images: int, epochs: int, classes: int, batch: int, seed: int
) -> None:
    generator = make_generator(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    counter = ForgettingCounter(labels)
    history: list[list[bool]] = [[] for _ in range(images)]
    for _ in range(epochs):
        for indices in torch.randperm(images, generator=generator).split(batch):
            logits = torch.randn(len(indices), classes, generator=generator)
            counter.see(indices, logits)
            for i, row in zip(indices.tolist(), logits.tolist(), strict=True):
                history[i].append(row.index(max(row)) == int(labels[i]))
    expected = recount(history)
    assert counter.events.tolist() == [events for events, _ in expected]
    assert counter.learned.tolist() == [learned for _, learned in expected]


@pytest.mark.parametrize("per_class", [None, 5])
def test_counts_are_those_of_a_plain_training_in_float64(per_class: int | None) -> None:
    real = hard_real_set()
    ctx = tiny_context(real)
    task = tiny_task(Forgetting, real, 2, ARCH, epochs=40, per_class=per_class)
    pool = candidates(per_class, ctx)
    made = shared_counts(ARCH, task.params, pool, 0, ctx)

    history: list[list[bool]] = [[] for _ in range(len(real))]
    key = {"what": "forgetting", "version": 1, "arch": ARCH, "epochs": 40,
           "per_class": per_class, "run": 0, "seed_index": 0}  # fmt: skip
    network = network_of(ctx, key).double().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    for _ in range(40):  # so few images make one batch, in which their order changes nothing
        logits = network(real.gather(pool).double())
        right = logits.argmax(1) == real.labels[pool]
        for i, correct in zip(pool.tolist(), right.tolist(), strict=True):
            history[i].append(correct)
        optimizer.zero_grad()
        F.cross_entropy(logits, real.labels[pool]).backward()
        optimizer.step()
    expected = recount(history)
    assert made["events"].tolist() == [events for events, _ in expected]
    assert made["learned"].tolist() == [learned for _, learned in expected]
    assert made["events"].sum() > 0


def network_of(ctx: Context, key: dict[str, object]) -> torch.nn.Module:
    """Return the network that shared work under ``key`` begins with."""
    made: list[torch.nn.Module] = []

    def make(inner: Context) -> dict[str, Tensor]:
        made.append(inner.network(ARCH))
        return {}

    tiny_context(ctx.real).shared(key, make)
    return made[0]


@pytest.mark.parametrize(("rule", "expected"), [("most", [2, 9, 0, 9]), ("least", [2, 0, 0, 0])])
def test_never_learned_images_rank_as_asked(rule: str, expected: list[int]) -> None:
    events, learned = torch.tensor([2, 0, 0, 0]), torch.tensor([True, False, True, False])
    assert forgetting_score(events, learned, 9, rule).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(scores=st.lists(st.integers(0, 4), min_size=1, max_size=15), data=st.data())
def test_the_highest_scores_are_chosen_in_descending_order(
    scores: list[int], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(scores)))
    picks = most_forgotten(torch.tensor(scores), n, make_generator(data.draw(st.integers(0, 99))))
    assert len(set(picks.tolist())) == n
    assert [scores[i] for i in picks.tolist()] == sorted(scores, reverse=True)[:n]


def test_ties_are_broken_at_random() -> None:
    score, generator = torch.tensor([1, 3, 1, 3, 3, 0]), make_generator(0)
    picks = torch.stack([most_forgotten(score, 2, generator) for _ in range(900)])
    counts = torch.bincount(picks.flatten(), minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert (counts[[1, 3, 4]] - 600).abs().max() < 5 * (900 * 2 / 9) ** 0.5


def choose(ctx: Context, ipc: int, **params: object) -> Tensor:
    task = tiny_task(Forgetting, ctx.real, ipc, ARCH, **params)
    return Forgetting(task, ctx).select()


@pytest.mark.parametrize("ipc", [1, 4, 12])
def test_each_class_gives_its_most_forgotten_images(ipc: int) -> None:
    ctx = tiny_context(hard_real_set())
    params = {"epochs": 30, "runs": 2, "never_learned": "least"}
    chosen = choose(ctx, ipc, **params)
    assert torch.equal(ctx.real.labels[chosen], torch.arange(3).repeat_interleave(ipc))
    assert len(chosen.unique()) == 3 * ipc
    task = tiny_task(Forgetting, ctx.real, ipc, ARCH, **params)
    everyone = torch.arange(len(ctx.real))
    runs = [shared_counts(ARCH, task.params, everyone, run, ctx)["events"] for run in (0, 1)]
    assert not torch.equal(*runs)
    for label, own in enumerate(ctx.real.class_indices):
        total = sum(runs)[own].sort(descending=True).values
        assert sum(runs)[chosen[label * ipc : (label + 1) * ipc]].tolist() == total[:ipc].tolist()


def test_only_candidates_are_chosen_and_they_are_the_same_for_every_ipc() -> None:
    ctx = tiny_context()
    pool = candidates(5, ctx)
    assert torch.equal(torch.bincount(ctx.real.labels[pool]), torch.full((3,), 5))
    assert torch.equal(candidates(5, tiny_context(seed=9)), pool)
    assert not torch.equal(candidates(5, tiny_context(seed_index=1)), pool)
    chosen = choose(ctx, 5, epochs=3, runs=1, per_class=5)
    assert torch.equal(chosen.sort().values, pool)


def test_every_ipc_shares_the_counts_of_each_run() -> None:
    cache = MemoryCache()
    for ipc in (1, 3):
        choose(tiny_context(seed=ipc, cache=cache), ipc, epochs=3, runs=2)
    assert [key["run"] for key, _ in cache.entries] == [0, 1]
    method = begin(Forgetting, tiny_context(cache=cache), 2, ARCH, epochs=3, runs=3, per_class=4)
    method.step(0)
    assert [key["what"] for key, _ in cache.entries[2:]] == [
        "forgetting-candidates", "forgetting", "forgetting", "forgetting",
    ]  # fmt: skip


def test_skips_what_leaves_too_few() -> None:
    real = tiny_real_set()
    assert Forgetting.skip(tiny_task(Forgetting, real, 12, ARCH)) is None
    reason = Forgetting.skip(tiny_task(Forgetting, real, 13, ARCH))
    assert reason == "the smallest class holds 12 images, fewer than IPC 13"
    reason = Forgetting.skip(tiny_task(Forgetting, real, 6, ARCH, per_class=5))
    assert reason == "per_class = 5 leaves fewer images than IPC 6"
