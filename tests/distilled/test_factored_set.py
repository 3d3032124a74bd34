"""Factored sets: what decoding is, what counts as stored, what fits together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec
from bench.distilled.factored_set import FactoredSet, decode_parts, part_size
from bench.distilled.io import load, load_tensors, save, save_tensors
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

SPEC = DatasetSpec("tiny", 3, 3, 8, 6, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), flip=False)
LABELS = torch.arange(3).repeat_interleave(2)


def pixels(n: int = 6, shape: tuple[int, ...] = SPEC.shape) -> torch.Tensor:
    return torch.rand(n, *shape, generator=make_generator(1))


def made(images: torch.Tensor | None = None, **rest: Any) -> FactoredSet:
    parts = {"labels": LABELS, "factor": 2, "provenance": {"id": "x"}, **rest}
    return FactoredSet(SPEC, pixels() if images is None else images, **parts)


def enlarged(line: np.ndarray, size: int) -> np.ndarray:
    """Sample a line at the centres of ``size`` pixels, between those of its own: the formula."""
    at = (np.arange(size) + 0.5) * len(line) / size - 0.5
    return np.interp(at, np.arange(len(line)), line)


@pytest.mark.parametrize(("height", "width", "factor"), [
    (8, 6, 2), (8, 8, 1), (7, 5, 2), (9, 9, 3), (8, 8, 3), (3, 3, 3),
])  # fmt: skip
def test_decoding_is_the_papers_cut_and_bilinear_enlargement(
    height: int, width: int, factor: int
) -> None:
    images = pixels(2, (3, height, width)).double()
    decoded = decode_parts(images, factor).view(2, factor, factor, 3, height, width)
    tall, wide = math.ceil(height / factor), math.ceil(width / factor)
    assert part_size(height, width, factor) == (tall, wide)
    padded = np.full((2, 3, tall * factor, wide * factor), 0.5)
    padded[:, :, :height, :width] = images.numpy()
    for n in range(2):
        for i in range(factor):
            for j in range(factor):
                part = padded[n, :, i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
                rows = np.apply_along_axis(enlarged, 1, part, height)
                expected = np.apply_along_axis(enlarged, 2, rows, width)
                np.testing.assert_allclose(decoded[n, i, j].numpy(), expected, atol=1e-12)


def test_decoding_agrees_with_interpolate_and_so_does_its_gradient() -> None:
    """The released code cuts with slices and enlarges with ``nn.Upsample``."""
    images = pixels(2, (1, 8, 8)).double().requires_grad_()
    cuts = [images[:, :, i : i + 4, j : j + 4] for i in (0, 4) for j in (0, 4)]
    expected = torch.stack([F.interpolate(c, (8, 8), mode="bilinear") for c in cuts], 1)
    decoded = decode_parts(images, 2)
    torch.testing.assert_close(decoded, expected.flatten(0, 1))
    weights = torch.randn(decoded.shape, generator=make_generator(2)).double()
    mine, theirs = (
        torch.autograd.grad((x * weights).sum(), images)[0]
        for x in (decoded, expected.flatten(0, 1))
    )
    torch.testing.assert_close(mine, theirs)


def test_an_epoch_is_every_part_enlarged_and_normalised() -> None:
    source = made().source("stored", 2, make_generator(0))
    images, labels = source.epoch(make_generator(0))
    assert images.dtype == torch.float32
    assert torch.equal(images, normalise(decode_parts(pixels(), 2), SPEC))
    assert labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    flat = torch.full((6, *SPEC.shape), 0.25)
    shown, _ = made(flat).source("stored", 2, make_generator(0)).epoch(make_generator(0))
    torch.testing.assert_close(shown, normalise(flat[:1], SPEC).expand(24, -1, -1, -1))


def test_the_budgets_count_what_is_stored_and_what_is_shown() -> None:
    distilled = made()
    source = distilled.source("stored", 2, make_generator(0))
    assert distilled.storage_bytes == source.storage_bytes == 6 * SPEC.pixels * 4
    assert source.images_per_epoch == 24
    assert [source.distinct_images(n) for n in (0, 1, 1000)] == [0, 24, 24]


@pytest.mark.parametrize("ipc", [1, 8])
def test_ipc_counts_stored_images(ipc: int) -> None:
    with pytest.raises(ValueError, match=f"the set holds 2 images per class, not IPC {ipc}"):
        made().source("stored", ipc, make_generator(0))
    assert made().source("stored", None, make_generator(0)).images_per_epoch == 24


def test_only_one_mode() -> None:
    with pytest.raises(ValueError, match="mode 'stream' is not one of stored"):
        made().source("stream", 2, make_generator(0))


@pytest.mark.parametrize(
    ("images", "rest", "words"),
    [
        (pixels(5), {}, "do not fit tiny"),
        (pixels(6, (1, 8, 6)), {}, "do not fit tiny"),
        (pixels(24, (3, 4, 3)), {}, "do not fit tiny"),
        (pixels().double(), {}, "must be float32, float16 or uint8, not torch.float64"),
        (pixels().int(), {}, "must be float32, float16 or uint8, not torch.int32"),
        (pixels() / 0, {}, "NaN or infinity"),
        (pixels(), {"labels": LABELS + 1}, "labels must lie in 0..2"),
        (pixels(), {"factor": 0}, r"factor must be a whole number in 1..6, not 0"),
        (pixels(), {"factor": 7}, r"factor must be a whole number in 1..6, not 7"),
        (pixels(), {"factor": 2.0}, r"factor must be a whole number in 1..6, not 2.0"),
        (pixels(), {"factor": True}, r"factor must be a whole number in 1..6, not True"),
    ],
)
def test_what_does_not_fit_is_refused(images: torch.Tensor, rest: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(images, **rest)


@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_previews_are_the_stored_grids_class_by_class(per_class: int) -> None:
    images = pixels() * 1.5 - 0.25
    shown = made(images, labels=torch.tensor([2, 1, 0, 0, 1, 2])).preview(
        per_class, make_generator(0)
    )
    assert shown.shape == (3, min(per_class, 2), *SPEC.shape)
    assert torch.allclose(shown[:, 0], images[[2, 1, 0]].clamp(0, 1), atol=1e-6)


def test_a_set_survives_a_file(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    first = made(pixels() * 3 - 1)
    save(first, path)
    again = load(path)
    assert isinstance(again, FactoredSet)
    assert (again.spec, again.factor, again.provenance) == (SPEC, 2, {"id": "x"})
    assert torch.equal(again.images, first.images)
    assert torch.equal(again.labels, first.labels)
    assert again.storage_bytes == first.storage_bytes


@pytest.mark.parametrize(
    ("config", "words"),
    [({}, "it lacks 'factor'"), ({"factor": "2"}, "not '2'"), ({"factor": 9}, "not 9")],
)
def test_a_file_with_another_factor_is_refused(tmp_path: Path, config: Any, words: str) -> None:
    path = tmp_path / "set.safetensors"
    save(made(), path)
    tensors, header = load_tensors(path)
    save_tensors(tensors, {**header, "config": config}, path)
    with pytest.raises(BenchError, match=f"is not a valid factored set: .*{words}"):
        load(path)


def test_parts_that_are_not_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match=r"holds images and labels, not \['images'\]"):
        FactoredSet.from_parts(SPEC, {"images": pixels()}, {"factor": 2}, {})
