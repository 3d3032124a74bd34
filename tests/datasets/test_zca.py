"""ZCA: against Kornia's, which the field's code uses; inverse, chunks, and what a file may hold."""

from __future__ import annotations

import math

import pytest
import torch
from kornia.enhance import ZCAWhitening

import bench.datasets.zca
from bench.datasets.zca import ZCA
from bench.support.seeds import make_generator


def correlated(n: int = 200, shape: tuple[int, int, int] = (3, 4, 5)) -> torch.Tensor:
    """Return uint8 images whose pixels depend on each other."""
    generator = make_generator(1)
    coarse = torch.rand(n, shape[0], 2, 2, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    noise = torch.rand(n, *shape, generator=generator)
    return ((0.8 * smooth + 0.2 * noise) * 255).to(torch.uint8)


@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
def test_it_is_kornias(epsilon: float) -> None:
    images = correlated()
    mine = ZCA.fit(images, epsilon)
    theirs = ZCAWhitening(eps=epsilon, compute_inv=True).fit(images.double() / 255)
    expected = theirs(images.double() / 255)
    assert torch.allclose(mine.whiten(images).double(), expected, atol=1e-4)
    assert torch.allclose(mine.whiten(images / 255), mine.whiten(images), atol=1e-6)
    restored = theirs.inverse_transform(expected)
    assert torch.allclose(mine.unwhiten(expected.float()).double(), restored, atol=1e-4)


def test_whitened_pixels_are_uncorrelated() -> None:
    white = ZCA.fit(correlated(), 1e-9).whiten(correlated()).flatten(1)
    assert torch.allclose(torch.cov(white.T), torch.eye(60), atol=0.01)
    assert white.mean(0).abs().max() < 1e-3


def test_unwhitening_gives_the_pixels_back() -> None:
    images = correlated()
    zca = ZCA.fit(images, 0.1)
    assert torch.allclose(zca.unwhiten(zca.whiten(images)), images / 255, atol=1e-5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ZCA.fit(correlated(), 0.1)
    monkeypatch.setattr(bench.datasets.zca, "IMAGES_PER_CHUNK", 7)
    cut = ZCA.fit(correlated(), 0.1)
    assert torch.equal(whole.mean, cut.mean)
    assert torch.allclose(whole.matrix, cut.matrix, atol=1e-4)


def test_autocast_does_not_round_it() -> None:
    images = correlated()
    zca = ZCA.fit(images, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = zca.whiten(images)
    assert torch.equal(inside, zca.whiten(images))


def test_tensors_rebuild_it() -> None:
    zca = ZCA.fit(correlated(), 0.1)
    again = ZCA.from_tensors({"images": torch.zeros(1), **zca.tensors()})
    assert again is not None
    assert torch.equal(again.matrix, zca.matrix)
    assert torch.equal(again.mean, zca.mean)
    assert zca.storage_bytes == 4 * (60 + 60 * 60)
    assert ZCA.from_tensors({"images": torch.zeros(1)}) is None


@pytest.mark.parametrize(
    ("mean", "matrix", "words"),
    [
        (torch.zeros(3), torch.eye(4), r"\(3,\) and \(4, 4\)"),
        (torch.zeros(1, 3), torch.eye(3), "do not fit"),
        (torch.zeros(3), torch.eye(3).double(), "float32"),
        (torch.zeros(3), torch.eye(3) * math.nan, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(mean: torch.Tensor, matrix: torch.Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZCA(mean, matrix)


@pytest.mark.parametrize("name", ["zca_mean", "zca_matrix"])
def test_half_of_it_is_refused(name: str) -> None:
    tensors = ZCA(torch.zeros(3), torch.eye(3)).tensors()
    with pytest.raises(ValueError, match="both"):
        ZCA.from_tensors({name: tensors[name]})
