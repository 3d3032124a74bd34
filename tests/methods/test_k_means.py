from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from builders import begin, tiny_context, tiny_real_set
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.conformance import method_checks
from bench.datasets.real_set import denormalise
from bench.distillation.context import Context
from bench.distillation.profiles import Profile
from bench.distilled.image_set import ImageSet
from bench.support.seeds import make_generator
from methods.herding import Herding
from methods.k_means import KMeans, k_means_centres, nearest_distinct
from methods.shared.embedding import class_features, shared_embedding

ARCH = "convnet1(width=4)"


def draw_points(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=make_generator(seed)) + 3


def centres_of(points: Tensor, k: int, seed: int = 0, restarts: int = 1) -> Tensor:
    return k_means_centres(points, k, seed, restarts=restarts, iterations=300)


def distances(centres: Tensor, points: Tensor) -> np.ndarray:
    """Squared distances in float64 without any expansion: ``(k, N)``."""
    first, second = centres.double().numpy(), points.double().numpy()
    return np.array([[((c - p) ** 2).sum() for p in second] for c in first])


def spread(points: Tensor, groups: list[list[int]]) -> float:
    """Sum of squared distances to each group's mean, in float64."""
    cut = [points.double()[group] for group in groups]
    return float(sum((own - own.mean(0)).square().sum() for own in cut))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 14), columns=st.integers(1, 5), seed=st.integers(0, 2**31 - 1),
    data=st.data(),
)  # fmt: skip
def test_every_centre_is_the_mean_of_the_points_nearest_to_it(
    rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, rows))
    points = draw_points(rows, columns, seed)
    centres = centres_of(points, k, seed)
    nearest = distances(centres, points).argmin(0)
    for j in range(k):
        own = points.double()[torch.from_numpy(nearest == j)]
        torch.testing.assert_close(centres[j].double(), own.mean(0), rtol=1e-5, atol=1e-5)


def test_enough_restarts_find_the_best_partition_of_all() -> None:
    points = draw_points(8, 2, 5)
    best = min(
        spread(points, [[i for i in range(8) if labels[i] == j] for j in range(3)])
        for labels in product(range(3), repeat=8)
        if len(set(labels)) == 3
    )
    found = distances(centres_of(points, 3, restarts=50), points).min(0).sum()
    assert found == pytest.approx(best, rel=1e-5)


def test_seeds_decide_and_cores_do_not() -> None:
    points = draw_points(1500, 6, 0)
    first = centres_of(points, 20)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 3)
    try:
        assert torch.equal(centres_of(points, 20), first)
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(centres_of(points, 20, seed=1), first)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 12), seed=st.integers(0, 2**32), data=st.data())
def test_pairs_are_made_in_order_of_distance(rows: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, rows))
    points, centres = draw_points(rows, 2, seed), draw_points(k, 2, seed + 1)
    chosen = nearest_distinct(points, centres).tolist()
    apart = distances(centres, points)
    expected, taken = {}, set()
    for centre, point in sorted(product(range(k), range(rows)), key=lambda pair: apart[pair]):
        if centre not in expected and point not in taken:
            expected[centre] = point
            taken.add(point)
    assert chosen == [expected[j] for j in range(k)]
    assert len(set(chosen)) == k
    alone = apart.argmin(1).tolist()
    assert len(set(alone)) < k or chosen == alone


def test_twins_are_chosen_once_each() -> None:
    assert sorted(nearest_distinct(torch.ones(6, 3), torch.ones(6, 3)).tolist()) == list(range(6))


def chosen(ctx: Context, ipc: int, **params: object) -> Tensor:
    method = begin(KMeans, ctx, ipc, ARCH, embedding_epochs=1, **params)
    method.step(0)
    indices = method.state_dict()["indices"]
    assert torch.equal(ctx.real.labels[indices], torch.arange(3).repeat_interleave(ipc))
    assert len(indices.unique()) == 3 * ipc
    return indices.view(3, ipc)


@pytest.mark.parametrize("keep", ["nearest", "nearest-pixels", "centres"])
@pytest.mark.parametrize("ipc", [1, 4, 12])
def test_each_class_gives_the_images_nearest_to_its_centres(keep: str, ipc: int) -> None:
    ctx = tiny_context()
    picks = chosen(ctx, ipc, keep=keep)
    network, draws = shared_embedding(ARCH, 1.0, ctx), tiny_context()
    for label, own in enumerate(ctx.real.class_indices):
        points = ctx.real.gather(own).flatten(1)
        if keep == "nearest":
            points = class_features(network, label, ctx)
        centres = centres_of(points, ipc, draws.draw_int(2**31, "k-means"))
        assert torch.equal(picks[label], own[nearest_distinct(points, centres)])


def test_one_image_per_class_is_the_one_that_herding_takes() -> None:
    ctx = tiny_context()
    herding = begin(Herding, ctx, 1, ARCH, embedding_epochs=1).select()
    assert torch.equal(chosen(ctx, 1).flatten(), herding)


@pytest.mark.parametrize("keep", ["nearest", "nearest-pixels"])
def test_real_images_stay_as_they_are(keep: str) -> None:
    ctx = tiny_context()
    method = begin(KMeans, ctx, 2, ARCH, embedding_epochs=1, keep=keep)
    method.step(0)
    made = method.result()
    assert isinstance(made, ImageSet)
    assert torch.equal(made.images, ctx.real.images[method.state_dict()["indices"]])


def test_centres_are_means_of_real_pixels() -> None:
    ctx = tiny_context()
    method = begin(KMeans, ctx, 1, ARCH, keep="centres")
    method.step(0)
    resumed = begin(KMeans, tiny_context(), 1, ARCH, keep="centres")
    resumed.load_state_dict(method.state_dict())
    for made in (method.result(), resumed.result()):
        assert isinstance(made, ImageSet)
        assert made.images.dtype == torch.float32
        assert torch.equal(made.labels, torch.arange(3))
        for label in range(3):
            own = ctx.real.images[ctx.real.labels == label].double() / 255
            pixels = denormalise(made.images[label : label + 1], ctx.real.spec)[0]
            torch.testing.assert_close(pixels.double(), own.mean(0), rtol=0, atol=1e-6)


class Centres(KMeans):
    profiles = {"smoke": Profile({"keep": "centres"}, "the embedding")}


@pytest.mark.parametrize("check", method_checks(), ids=lambda c: c.__name__)
def test_centres_keep_the_contract(check: Callable[[type[KMeans]], None]) -> None:
    check(Centres)


def test_pixels_need_no_network() -> None:
    ctx = tiny_context()
    chosen(ctx, 2, keep="nearest-pixels")
    assert ctx.shared_seconds == 0


def test_seeds_decide_which_clusters_are_found() -> None:
    real = tiny_real_set(per_class=60)
    picks = [chosen(tiny_context(real, seed), 8, keep="nearest-pixels") for seed in (0, 0, 1)]
    assert torch.equal(picks[0], picks[1])
    assert not torch.equal(picks[0], picks[2])
