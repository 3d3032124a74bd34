"""Numbers as people read them."""

from __future__ import annotations

import pytest

from bench.report.number_formats import as_printed, duration, percent, signed, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (784, "784 B"), (999, "999 B"), (1000, "1.0 kB"), (31360, "31.4 kB"),
     (999_960, "1.0 MB"), (14_237_452, "14.2 MB"), (3_000_000_000, "3.0 GB")],
)  # fmt: skip
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (0.02, "0.02 s"), (4.26, "4.3 s"), (9.96, "10 s"), (59.6, "1 min 00 s"),
     (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_percent_shows_a_spread_only_if_there_is_one() -> None:
    assert percent(48.26, 0.449) == "48.3 ± 0.4"
    assert percent(48.26, None) == "48.3"


@pytest.mark.parametrize(
    ("value", "text"), [(1.24, "+1.2"), (-0.31, "−0.3"), (0.04, "0.0"), (-0.04, "0.0")]
)
def test_signed(value: float, text: str) -> None:
    assert signed(value) == text


def test_anothers_number_keeps_its_decimals() -> None:
    assert as_printed(47.64, 0.87) == "47.64 ± 0.87"
    assert as_printed(31.0, None) == "31.0"
