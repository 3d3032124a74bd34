"""The classes of a source by name, matched with those of the dataset."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError


@dataclass(frozen=True)
class Matched:
    """Which class of the dataset each class of a source is.

    Attributes:
        classes: the dataset's class of each of the source's, in its order.
        how: how they were matched, in words; empty where the order is the same.
        warning: what may be wrong, or ``None``.
    """

    classes: tuple[int, ...]
    how: str = ""
    warning: str | None = None


def match_classes(names: Sequence[str], spec: DatasetSpec, place: str) -> Matched:
    """Match the names of a source's classes with the dataset's.

    Case, spaces, ``_`` and ``-`` do not count. Numbers are the dataset's classes themselves: a
    folder ``4`` is class 4, whether there is a folder ``3`` or not.

    Args:
        names: one per label of the source.
        spec: the dataset.
        place: the source, for messages.

    Raises:
        BenchError: some names are the dataset's and others are not, so that the order says nothing.
    """
    ours = {_plain(name): index for index, name in enumerate(spec.class_names)}
    order = tuple(range(len(names)))
    unknown = [name for name in names if _plain(name) not in ours]
    if ours and not unknown:
        classes = tuple(ours[_plain(name)] for name in names)
        return Matched(classes, "" if classes == order else "renumbered by class name")
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        return _numbered([int(name) for name in names], spec)
    if not ours:
        return Matched(order, "numbered in the order of their names")
    theirs, known = ", ".join(unknown[:5]), ", ".join(spec.class_names[:5])
    if len(unknown) < len(names):
        raise BenchError(
            f"'{place}' has classes that {spec.name} has not ({theirs}), beside others that it "
            f"has: name them as the dataset does ({known}, ...)"
        )
    return Matched(
        order,
        "numbered in the order of their names",
        f"the source calls its classes {theirs}, ..., the dataset {known}, ...: they are taken to "
        "be in the same order",
    )


def _numbered(numbers: list[int], spec: DatasetSpec) -> Matched:
    order = tuple(range(len(numbers)))
    if numbers == list(range(1, spec.num_classes + 1)):
        last = spec.num_classes - 1
        warning = f"the source numbers its classes from 1: they are taken as 0 to {last}"
        return Matched(order, "numbered from 1", warning)
    classes = tuple(numbers)
    return Matched(classes, "" if classes == order else "numbered by name")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()
