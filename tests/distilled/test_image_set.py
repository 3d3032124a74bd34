"""Image sets: what fits together, bytes, what is trained on, previews."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from toy_generator import SPEC

from bench.datasets.real_set import normalise
from bench.datasets.zca import ZCA
from bench.distilled.image_set import ImageSet
from bench.distilled.pixels import Pixels
from bench.support.seeds import make_generator

LABELS = torch.arange(3).repeat_interleave(2)


def pixels(n: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (n, *SPEC.shape), generator=make_generator(1)).to(torch.uint8)


def learned(n: int = 6) -> torch.Tensor:
    return torch.randn(n, *SPEC.shape, generator=make_generator(1))


def made(images: torch.Tensor | None = None, **rest: Any) -> ImageSet:
    return ImageSet(
        SPEC, pixels() if images is None else images, rest.pop("labels", LABELS), {}, **rest
    )


def epoch(distilled: ImageSet, ipc: int | None = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return distilled.source("stored", ipc, make_generator(0)).epoch(make_generator(0))


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (pixels(5), LABELS, "do not fit tiny"),
        (pixels(), LABELS[:5], "do not fit tiny"),
        (pixels().transpose(2, 3), LABELS, "do not fit tiny"),
        (pixels().repeat(1, 3, 1, 1), LABELS, "do not fit tiny"),
        (pixels()[0], LABELS[:1], "do not fit tiny"),
        (pixels().flatten(1), LABELS, "do not fit tiny"),
        (torch.tensor(1, dtype=torch.uint8), LABELS, "do not fit tiny"),
        (pixels(), LABELS.view(6, 1), "do not fit tiny"),
        (pixels(), LABELS.view(2, 3), "do not fit tiny"),
        (pixels(1), torch.tensor(0), "do not fit tiny"),
        (pixels().to(torch.int64), LABELS, "must be uint8 or float32, not torch.int64"),
        (learned().double(), LABELS, "must be uint8 or float32, not torch.float64"),
        (pixels(), LABELS.to(torch.int32), "labels must be int64, not torch.int32"),
        (pixels(), LABELS.float(), "labels must be int64"),
        (pixels(), LABELS + 1, "labels must lie in 0..2"),
        (pixels(), LABELS - 1, "labels must lie in 0..2"),
        (learned() * math.nan, LABELS, "NaN or infinity"),
        (learned() / 0, LABELS, "NaN or infinity"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    images: torch.Tensor, labels: torch.Tensor, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        ImageSet(SPEC, images, labels, {})


@pytest.mark.parametrize("rate", [0, 0.0, -1.0, math.nan, math.inf, "0.1", torch.tensor(0.1)])
def test_a_learned_rate_is_a_positive_number(rate: Any) -> None:
    with pytest.raises(ValueError, match="learning_rate must be a positive number"):
        made(learning_rate=rate)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "3"])
def test_epochs_are_counted_from_one(epochs: Any) -> None:
    with pytest.raises(ValueError, match="epochs must be a whole number from 1 to"):
        made(epochs=epochs)


def test_bytes_are_those_of_the_pixels_as_stored() -> None:
    assert made(pixels()).storage_bytes == 6 * 20
    assert made(learned()).storage_bytes == 6 * 20 * 4
    source = made(learned()).source("stored", 2, make_generator(0))
    assert source.storage_bytes == 6 * 20 * 4


def test_real_pixels_are_normalised_and_learned_ones_are_not() -> None:
    images, labels = epoch(made(pixels()))
    assert images.dtype == torch.float32
    assert torch.equal(images, normalise(pixels(), SPEC))
    assert torch.equal(labels, LABELS)
    assert torch.equal(epoch(made(learned()))[0], learned())


def test_every_epoch_is_the_same_and_draws_nothing() -> None:
    source, generator = made().source("stored", 2, make_generator(0)), make_generator(0)
    before = generator.get_state()
    first, second = source.epoch(generator), source.epoch(generator)
    assert torch.equal(first[0], second[0])
    assert torch.equal(generator.get_state(), before)


def test_distinct_images_do_not_grow_with_epochs() -> None:
    source = made().source("stored", 2, make_generator(0))
    assert [source.distinct_images(n) for n in (0, 1, 1000)] == [0, 6, 6]
    assert source.images_per_epoch == 6


@pytest.mark.parametrize("mode", ["stream", "frozen", "", "Stored"])
def test_only_one_mode(mode: str) -> None:
    with pytest.raises(ValueError, match=f"mode '{mode}' is not one of stored"):
        made().source(mode, 2, make_generator(0))


@pytest.mark.parametrize("ipc", [1, 3, 0])
def test_another_ipc_than_its_own_is_refused(ipc: int) -> None:
    with pytest.raises(ValueError, match=f"the set holds 2 images per class, not IPC {ipc}"):
        made().source("stored", ipc, make_generator(0))


def test_a_soft_label_may_leave_the_class_that_its_image_was_made_for() -> None:
    classes = torch.tensor([0, 0, 1, 1, 2, 1])
    soft = made(labels=0.7 * F.one_hot(classes).float() + 0.1, label_kind="probabilities")
    assert soft.source("stored", 2, make_generator(0)).images_per_epoch == 6
    with pytest.raises(ValueError, match="not IPC 3"):
        soft.source("stored", 3, make_generator(0))


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 1]])
def test_the_right_total_is_not_enough(labels: list[int]) -> None:
    uneven = made(labels=torch.tensor(labels))
    with pytest.raises(ValueError, match=r"holds [01] to 3 images per class, not IPC 2"):
        uneven.source("stored", 2, make_generator(0))
    assert uneven.source("stored", None, make_generator(0)).images_per_epoch == 6


def test_the_order_of_labels_is_free() -> None:
    assert torch.equal(epoch(made(labels=LABELS.flip(0)))[1], LABELS.flip(0))


@pytest.mark.parametrize("images", [pixels(), learned() * 3], ids=["real", "learned"])
@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_previews_are_pixels_class_by_class(images: torch.Tensor, per_class: int) -> None:
    shown = made(images, labels=torch.tensor([2, 1, 0, 0, 1, 2])).preview(
        per_class, make_generator(0)
    )
    assert shown.shape == (3, min(per_class, 2), *SPEC.shape)
    assert shown.dtype == torch.float32
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    first = images[[2, 1, 0]]
    expected = first / 255 if first.dtype == torch.uint8 else (first * 0.25 + 0.5).clamp(0, 1)
    assert torch.allclose(shown[:, 0], expected)


def test_a_preview_shows_as_many_as_the_smallest_class_has() -> None:
    assert made(labels=torch.tensor([0, 0, 0, 1, 1, 2])).preview(9, make_generator(0)).shape[1] == 1
    missing = made(labels=torch.tensor([0, 0, 0, 1, 1, 1])).preview(9, make_generator(0))
    assert missing.shape == (3, 0, *SPEC.shape)


def test_parts_rebuild_it() -> None:
    first = made(learned(), learning_rate=0.05, epochs=30)
    again = ImageSet.from_parts(SPEC, first.tensors(), first.config(), {"a": 1})
    assert torch.equal(again.images, first.images)
    assert (again.learning_rate, again.epochs, again.provenance) == (0.05, 30, {"a": 1})
    with pytest.raises(ValueError, match=r"holds images and labels, not \['images'\]"):
        ImageSet.from_parts(SPEC, {"images": pixels()}, {}, {})


# --- whitened ------------------------------------------------------------------------------------


def statistics() -> ZCA:
    return ZCA.fit(torch.cat([pixels(), 255 - pixels()]), 0.1)


def test_whitened_images_bring_their_statistics() -> None:
    first = made(learned(), learning_rate=0.05, zca=statistics())
    again = ImageSet.from_parts(SPEC, first.tensors(), first.config(), {})
    assert again.zca is not None
    assert torch.equal(again.zca.matrix, statistics().matrix)
    assert first.storage_bytes == 6 * 20 * 4 + 4 * (20 + 20 * 20)
    assert epoch(first)[0] is first.images


def test_whitened_images_are_shown_as_pixels() -> None:
    zca = statistics()
    shown = made(zca.whiten(pixels()), zca=zca).preview(2, make_generator(0))
    assert torch.allclose(shown.flatten(0, 1), pixels() / 255, atol=1e-5)


def test_real_pixels_are_whitened_when_trained_on() -> None:
    zca = statistics()
    assert torch.equal(epoch(made(pixels(), zca=zca))[0], zca.whiten(pixels()))


def test_statistics_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ZCA statistics of 3 values do not fit tiny.* have 20"):
        made(learned(), zca=ZCA(torch.zeros(3), torch.eye(3)))


def test_a_set_can_be_changed_in_a_copy() -> None:
    first = made()
    assert replace(first, epochs=3).epochs == 3
    assert first.epochs is None


def test_a_large_set_of_pixels_is_normalised_batch_by_batch(monkeypatch) -> None:
    distilled = made()
    source = distilled.source("stored", None, make_generator(0))
    whole, labels = source.epoch(make_generator(0))
    monkeypatch.setattr("bench.distilled.image_set.FLOAT_BYTES", 0)
    lazy = distilled.source("stored", None, make_generator(0))
    picked, same = lazy.epoch(make_generator(0))
    assert isinstance(picked, Pixels)
    part = torch.tensor([3, 0, 2])
    assert torch.equal(picked[part], whole[part])
    assert torch.equal(picked[:], whole[:])
    assert torch.equal(same, labels)
    assert len(picked) == len(whole)
