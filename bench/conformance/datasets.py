"""The checks of a dataset source's description; no check downloads anything."""

from __future__ import annotations

from collections.abc import Callable

from bench.datasets.checks import is_name
from bench.datasets.source import DatasetSource
from bench.datasets.spec import DatasetSpec

DatasetCheck = Callable[[type[DatasetSource]], None]


def dataset_checks() -> list[DatasetCheck]:
    """Return every check of a dataset source, in order; each takes the source's class."""
    return [check_spec, check_normalisation, check_counts]


def check_spec(source: type[DatasetSource]) -> None:
    """Check that the spec is named like the source, describes images, and survives JSON."""
    spec = source.spec
    assert is_name(source.name), f"'{source.name}' is not a valid dataset name"
    assert spec.name == source.name, f"the spec is named '{spec.name}', not '{source.name}'"
    assert spec.num_classes >= 2, "a dataset has at least 2 classes"
    try:
        same = DatasetSpec.from_json(spec.to_json()) == spec
    except ValueError as error:
        raise AssertionError(f"the spec cannot be read from a file: {error}") from error
    assert same, "the spec changes on its way through JSON"


def check_normalisation(source: type[DatasetSource]) -> None:
    """Check that mean and std are those of pixels in [0, 1]."""
    for what, values in (("mean", source.spec.mean), ("std", source.spec.std)):
        assert all(0 < value < 1 for value in values), f"{what} is not of pixels in [0, 1]"


def check_counts(source: type[DatasetSource]) -> None:
    """Check that fixed counts, if there are any, suffice for one image per class."""
    if source.counts is not None:
        fewest = min(source.counts)
        assert fewest >= source.spec.num_classes, f"{fewest} images cannot fill every class"
