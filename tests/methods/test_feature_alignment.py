from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.support.errors import BenchError
from bench.support.seeds import make_generator
from methods.cafe.feature_alignment import (
    alignment_loss,
    class_means,
    discrimination_loss,
    weights_of_layers,
)


def features(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=make_generator(seed))


def two_layers(images: Tensor) -> list[Tensor]:
    flat = images.flatten(1)
    return [flat.sin(), flat[:, :3] * 2]


@pytest.mark.parametrize("size", [None, 1, 4, 100])
def test_means_are_those_of_each_class(size: int | None) -> None:
    batches = [features(k, n, 1, 2, 4) for k, n in enumerate((5, 1, 3))]
    means, embeddings = class_means(two_layers, batches, size)
    assert [tuple(layer.shape) for layer in means] == [(3, 8), (3, 3)]
    for k, batch in enumerate(batches):
        torch.testing.assert_close(means[0][k], batch.flatten(1).sin().mean(0))
        torch.testing.assert_close(means[1][k], 2 * batch.flatten(1)[:, :3].mean(0))
    torch.testing.assert_close(embeddings, 2 * torch.cat(batches).flatten(1)[:, :3])


def test_alignment_is_the_weighted_sum_of_squared_distances() -> None:
    real = [features(k, 4, 5 + k) for k in range(3)]
    own = [features(k + 3, 4, 5 + k) for k in range(3)]
    expected = 0.0
    for weight, a, b in zip((0.5, 1.0, 3.0), real, own, strict=True):
        for k in range(4):
            expected += weight * float(((a[k].double() - b[k].double()) ** 2).sum())
    actual = alignment_loss(real, own, (0.5, 1.0, 3.0))
    assert actual.item() == pytest.approx(expected, rel=1e-5)


def test_discrimination_is_the_summed_cross_entropy_of_inner_products() -> None:
    seen, centres = features(0, 7, 5), features(1, 3, 5)
    labels = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    expected = 0.0
    for i, label in enumerate(labels.tolist()):
        products = [(seen[i].double() * centre.double()).sum() for centre in centres]
        odds = torch.stack(products).exp()
        expected -= float((odds[label] / odds.sum()).log())
    actual = discrimination_loss(seen, labels, centres)
    assert actual.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [2.0]), (3, [0.1, 1.0, 2.0]), (4, [0.2, 0.1, 1.0, 2.0]), (6, [0.2] * 3 + [0.1, 1.0, 2.0])],
)
def test_weights_are_told_off_from_the_embedding_backwards(
    count: int, expected: list[float]
) -> None:
    assert weights_of_layers((0.2, 0.1, 1.0, 2.0), count) == expected


def test_some_weight_must_be_given() -> None:
    with pytest.raises(BenchError, match="at least the embedding's"):
        weights_of_layers((), 4)
