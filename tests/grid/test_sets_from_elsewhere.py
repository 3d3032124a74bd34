"""Methods that hand over a set made elsewhere: soft labels, and classes of unequal size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from run_digits import run_digits
from torch.nn import functional as F

from bench.plugin import ImageSet, SelectionMethod, register
from bench.registry.registry import METHODS


class Elsewhere(SelectionMethod):
    """Hands over the first images of each class."""

    uses_arch = False

    def select(self) -> torch.Tensor:
        count = self.task.ipc or 2
        return torch.cat([index[:count] for index in self.ctx.real.class_indices])


class Soft(Elsewhere):
    """Hands over soft labels."""

    name = "ext-soft"

    def result(self) -> ImageSet:
        hard = super().result()
        classes = self.spec.num_classes
        labels = F.one_hot(hard.labels, classes).float() * 0.9 + 0.1 / classes
        return ImageSet(self.spec, hard.images, labels, {}, label_kind="probabilities")


class Unequal(Elsewhere):
    """Hands over classes of unequal size."""

    name = "ext-unequal"

    def result(self) -> ImageSet:
        whole = super().result()
        return ImageSet(self.spec, whole.images[1:], whole.labels[1:], {})


class UnequalAsAWhole(Unequal):
    """Says that the set has a size of its own."""

    name = "ext-unequal-whole"
    own_size = True
    ipc_agnostic = True


@pytest.fixture(autouse=True)
def registered():
    for cls in (Soft, Unequal, UnequalAsAWhole):
        register("method")(cls)
    yield
    for cls in (Soft, Unequal, UnequalAsAWhole):
        METHODS.unregister(cls.name)


def test_soft_labels_are_evaluated_and_named(tmp_path: Path, data_dir: Path) -> None:
    frame, _ = run_digits(tmp_path, data_dir, ["ext-soft"], [2])
    (row,) = frame.itertuples()
    assert (row.ipc, row.labels) == (2, "soft")


def test_unequal_classes_are_evaluated_as_a_whole(tmp_path: Path, data_dir: Path) -> None:
    frame, reporter = run_digits(tmp_path, data_dir, ["ext-unequal", "ext-unequal-whole"], [2])
    (row,) = frame.itertuples()
    assert (row.method, row.distinct_images) == ("ext-unequal-whole", 19)
    assert any(
        "the set holds 1 to 2 images per class, not IPC 2; that of a method with own_size = True "
        "is evaluated as a whole" in text
        for text in reporter.texts("failed")
    )
