"""The form of foreign labels (classes, one-hot rows, soft labels), and how well they fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.datasets.real_set import RealSet
from bench.distilled.labels import are_probabilities, hard_labels
from bench.support.errors import BenchError

# Images are averaged to this size before the linear classifier sees them.
_SIZE = 16
_RIDGE = 1e2
_SAMPLE = 10_000
# Below this many images a wrong order of labels cannot be told from chance.
FEWEST_TO_COMPARE = 50


@dataclass(frozen=True)
class Labels:
    """Labels in bench's form.

    Attributes:
        values: int64 ``(N,)``, or float32 ``(N, classes)``.
        kind: ``hard``, ``probabilities`` or ``logits``.
        form: how the file gives them, in words.
    """

    values: Tensor
    kind: str
    form: str


def read_labels(raw: Tensor, count: int, classes: int, place: str) -> Labels:
    """Return labels in bench's form.

    Args:
        raw: ``(N,)``, ``(N, 1)`` or ``(N, classes)`` of any numeric dtype.
        count: how many images there are.
        classes: of the dataset.
        place: the source, for messages.

    Raises:
        BenchError: they are no labels of ``count`` images of ``classes`` classes.
    """
    if raw.ndim == 2 and raw.shape[1] == 1 and classes > 1:
        raw = raw[:, 0]
    if raw.shape not in ((count,), (count, classes)) or raw.is_complex():
        raise BenchError(
            f"'{place}' has labels {tuple(raw.shape)} for {count} images: expected ({count},) or "
            f"({count}, {classes}), for the dataset has {classes} classes"
        )
    if raw.dtype.is_floating_point and not bool(raw.isfinite().all()):
        raise BenchError(f"'{place}' has labels that are NaN or infinite")
    if raw.ndim == 1:
        return Labels(_whole(raw, classes, place), "hard", f"classes ({_dtype(raw)})")
    rows = raw.float()
    levels = rows.sort(1, descending=True).values
    high, low = levels[:, 0], levels[:, 1:]
    alike = bool((levels == levels[:1]).all()) and bool((low == low[:, :1]).all())
    if alike and bool((high == 1).all()) and bool((low == 0).all()):
        return Labels(hard_labels(rows), "hard", f"one-hot rows ({_dtype(raw)})")
    if are_probabilities(rows):
        return Labels(rows, "probabilities", f"soft, probabilities ({_dtype(raw)})")
    if alike and bool((high > low[:, 0]).all()):  # KIP subtracts the mean from one-hot rows
        return Labels(hard_labels(rows), "hard", f"one-hot rows, shifted ({_dtype(raw)})")
    return Labels(rows, "logits", f"soft, logits ({_dtype(raw)})")


def _whole(raw: Tensor, classes: int, place: str) -> Tensor:
    values = raw.to(torch.int64)
    if raw.dtype.is_floating_point and not bool((values == raw).all()):
        raise BenchError(f"'{place}' has labels that are no whole numbers, {float(raw[0]):g} first")
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if low < 0 or high >= classes:
        raise BenchError(
            f"'{place}' has labels from {low} to {high}: the dataset has the classes 0 to "
            f"{classes - 1}"
        )
    return values


def agreement(images: Tensor, labels: Tensor, real: RealSet) -> tuple[float, float] | None:
    """Say how well labels fit images, by a linear classifier of real images.

    Args:
        images: float32 ``(N, C, H, W)`` in normalised units.
        labels: int64 ``(N,)``.
        real: the training part.

    Returns:
        The share of images of which the classifier says what the label says, and the largest share
        that any renaming of the classes would give; ``None`` for too few images to tell.
    """
    if len(labels) < FEWEST_TO_COMPARE:
        return None
    from scipy.optimize import linear_sum_assignment

    classes = real.spec.num_classes
    index = torch.arange(0, len(real), max(1, len(real) // _SAMPLE), device=real.device)
    features = _features(real.gather(index).cpu())
    targets = F.one_hot(real.labels[index].cpu(), classes).double() - 1 / classes
    gram = features.T @ features + _RIDGE * torch.eye(features.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, features.T @ targets)
    predicted = (_features(images.cpu()) @ weights).argmax(1)
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    confusion.index_put_((labels.cpu(), predicted), torch.tensor(1), accumulate=True)
    rows, columns = linear_sum_assignment(-confusion.numpy())
    given = int(confusion.diagonal().sum()) / len(labels)
    return given, int(confusion.numpy()[rows, columns].sum()) / len(labels)


def _features(images: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(images, min(_SIZE, images.shape[-1])).flatten(1).double()
    return torch.cat([small, torch.ones(len(small), 1, dtype=torch.float64)], 1)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
