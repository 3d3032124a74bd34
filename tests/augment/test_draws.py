"""The parameters that operations draw: in the paper's ranges, even, independent per axis."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.augment.dsa import OPERATIONS
from bench.augment.geometric import Crop, Scale
from bench.augment.intensity import Cutout

KINDS = [kind for kinds in OPERATIONS.values() for kind in kinds]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


RANGES = {
    "brightness": (-0.5, 0.5),
    "saturation": (0.0, 2.0),
    "contrast": (0.5, 1.5),
    "scale_x": (1 / 1.2, 1.2),
    "scale_y": (1 / 1.2, 1.2),
    "degrees": (-15.0, 15.0),
    "flip": (0, 1),
}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    rows=st.integers(1, 5),
)
def test_drawn_parameters_lie_in_the_papers_ranges(seed, height, width, rows):
    ranges = dict(RANGES)
    for axis, size in (("row", height), ("column", width)):
        reach, side = int(size * 0.125 + 0.5), int(size * 0.5 + 0.5)
        ranges[f"crop_{axis}"] = (-reach, reach)
        ranges[f"cutout_{axis}"] = (0, size - side % 2)
    generator = seeded(seed)
    seen = {}
    for kind in KINDS:
        seen.update(kind().draw(rows, (3, height, width), generator))
    assert set(seen) == set(ranges)
    for name, (low, high) in ranges.items():
        assert seen[name].shape == (rows,)
        assert bool(((seen[name] >= low) & (seen[name] <= high)).all()), name


@pytest.mark.parametrize("kind", KINDS)
def test_draws_fill_their_range_evenly(kind):
    params = kind().draw(20_000, (3, 32, 32), seeded(9))
    expected = {**RANGES, "crop_row": (-4, 4), "crop_column": (-4, 4)}
    expected |= {"cutout_row": (0, 32), "cutout_column": (0, 32)}
    for name, values in params.items():
        low, high = expected[name]
        spread = high - low
        values = values.double()
        assert values.min() <= low + 0.01 * spread
        assert values.max() >= high - 0.01 * spread
        assert abs(float(values.mean()) - (low + high) / 2) < 0.02 * spread


@pytest.mark.parametrize("kind", [Crop, Cutout, Scale])
def test_the_two_axes_are_drawn_independently(kind):
    one, other = (v.double() for v in kind().draw(5_000, (3, 32, 32), seeded(4)).values())
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.06
