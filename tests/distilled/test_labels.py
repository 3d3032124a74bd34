"""Soft labels: what is accepted, how they are stored, counted and trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_sets import image_set

from bench.distilled.image_set import ImageSet
from bench.distilled.io import load, save
from bench.support.seeds import make_generator

SOFT = torch.randn(6, 3, generator=make_generator(2)).softmax(1)
LOGITS = 5 * torch.randn(6, 3, generator=make_generator(3))


def soft_set(labels: torch.Tensor = SOFT, kind: str = "probabilities", **rest: Any) -> ImageSet:
    return replace(image_set(), labels=labels, label_kind=kind, **rest)


def trained_on(distilled: ImageSet) -> torch.Tensor:
    return distilled.source("stored", None, make_generator(0)).epoch(make_generator(0))[1]


def test_probabilities_are_trained_on_as_they_are() -> None:
    assert torch.equal(trained_on(soft_set()), SOFT)


@pytest.mark.parametrize(("temperature", "divisor"), [(None, 1.0), (4.0, 4.0)])
def test_logits_become_probabilities(temperature: float | None, divisor: float) -> None:
    labels = trained_on(soft_set(LOGITS, "logits", temperature=temperature))
    assert torch.equal(labels, (LOGITS / divisor).softmax(1))


def test_soft_labels_without_their_kind_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="soft labels need label_kind='probabilities' or 'logits'"):
        replace(image_set(), labels=SOFT)


def test_soft_labels_count_as_stored_bytes() -> None:
    assert soft_set().storage_bytes == image_set().storage_bytes + 6 * 3 * 4


def test_classes_are_the_largest_entries() -> None:
    labels = torch.full((6, 3), 0.1)
    labels[torch.arange(6), torch.tensor([0, 1, 2, 2, 1, 0])] = 0.8
    distilled = soft_set(labels)
    assert distilled.source("stored", 2, make_generator(0)).images_per_epoch == 6
    first = distilled.preview(1, make_generator(0))[2, 0]
    again = image_set().preview(2, make_generator(0))[1, 0]  # the third image
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("kind", "labels", "temperature"),
    [("probabilities", SOFT, None), ("logits", LOGITS, 20.0)],
)
def test_a_file_keeps_them(
    tmp_path: Path, kind: str, labels: torch.Tensor, temperature: float | None
) -> None:
    save(soft_set(labels, kind, temperature=temperature), tmp_path / "set.safetensors")
    back = load(tmp_path / "set.safetensors")
    assert isinstance(back, ImageSet)
    assert torch.equal(back.labels, labels)
    assert (back.label_kind, back.temperature) == (kind, temperature)


def test_a_file_of_hard_labels_is_written_as_before() -> None:
    assert image_set().config() == {"learning_rate": None, "epochs": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_kind": "fuzzy"}, "one of hard, probabilities, logits"),
        ({"labels": SOFT[:, :2]}, r"float32 \(N, 3\)"),
        ({"labels": SOFT.double()}, r"float32 \(N, 3\)"),
        ({"labels": SOFT * 2}, "no probabilities"),
        ({"labels": SOFT - 0.5}, "no probabilities"),
        ({"labels": LOGITS}, "no probabilities"),
        ({"labels": SOFT / 0, "label_kind": "logits"}, "NaN or infinity"),
        ({"labels": SOFT[:, 0]}, "do not fit"),
        ({"temperature": 0.0}, "temperature must be"),
        ({"temperature": "2"}, "temperature must be"),
        ({"temperature": True}, "temperature must be"),
        ({"label_kind": "hard"}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(soft_set(), **changes)


def test_hard_labels_have_no_temperature() -> None:
    with pytest.raises(ValueError, match="hard labels have no temperature"):
        image_set(temperature=2.0)
