"""Labels of distilled images: hard, or soft as class probabilities or as a teacher's logits.

Hard labels are int64 ``(N,)``. Soft labels are float32 ``(N, num_classes)``; they are stored, and
their bytes count, because they carry what a method has learned.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from bench.datasets.spec import DatasetSpec
from bench.support.untrusted import Limit

LabelKind = Literal["hard", "probabilities", "logits"]
KINDS: tuple[str, ...] = get_args(LabelKind)
# Probabilities are sums of rounded float32 numbers.
_TOLERANCE = 1e-3


def check_labels(labels: Tensor, kind: Any, temperature: Any, spec: DatasetSpec) -> None:
    """Check the labels of a set, which may come from a file.

    Args:
        labels: int64 ``(N,)`` for hard labels, else float32 ``(N, num_classes)``.
        kind: one of :data:`KINDS`.
        temperature: by which logits are divided before the softmax, or ``None``.
        spec: the dataset that has the classes.

    Raises:
        ValueError: naming what does not fit.
    """
    if kind not in KINDS:
        raise ValueError(f"label_kind must be one of {', '.join(KINDS)}, not {kind!r:.50}")
    _check_temperature(temperature, kind)
    if kind == "hard":
        if labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64, not {labels.dtype}")
        if not bool(((labels >= 0) & (labels < spec.num_classes)).all()):
            raise ValueError(f"labels must lie in 0..{spec.num_classes - 1}")
        return
    if labels.dtype != torch.float32 or labels.shape[1:] != (spec.num_classes,):
        raise ValueError(
            f"soft labels must be float32 (N, {spec.num_classes}), not {labels.dtype} "
            f"{tuple(labels.shape)}"
        )
    if not bool(labels.isfinite().all()):
        raise ValueError("labels hold NaN or infinity")
    if kind == "probabilities" and not are_probabilities(labels):
        raise ValueError("labels are no probabilities: each row must be 0 or more and sum to 1")


def are_probabilities(labels: Tensor) -> bool:
    """Return whether every row of float ``(N, num_classes)`` is 0 or more and sums to 1."""
    return bool((labels >= 0).all()) and bool(((labels.sum(1) - 1).abs() <= _TOLERANCE).all())


def hard_labels(labels: Tensor) -> Tensor:
    """Return the class of each image, int64 ``(N,)``; of a soft label its largest entry."""
    return labels if labels.ndim == 1 else labels.argmax(1)


def training_labels(labels: Tensor, kind: str, temperature: float | None) -> Tensor:
    """Return labels as networks are trained on them: int64 classes or float32 probabilities."""
    return (labels / (temperature or 1.0)).softmax(1) if kind == "logits" else labels


def label_bytes(labels: Tensor, kind: str) -> int:
    """Return the bytes that labels add to a set: none for hard ones, whose order gives them."""
    return 0 if kind == "hard" else labels.nbytes


def _check_temperature(temperature: Any, kind: str) -> None:
    if temperature is None:
        return
    plain = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not (plain and 0 < temperature <= Limit.TEMPERATURE):
        raise ValueError(f"temperature must be a positive number, not {temperature!r:.50}")
    if kind == "hard":
        raise ValueError("hard labels have no temperature")
