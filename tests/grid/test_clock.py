"""The time that is left: every cell that has not ended counts, by what is known of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.grid.clock import Clock, format_seconds
from bench.ledger.cell import DistilCell, EvaluateCell

MADE = DistilCell("dm", 1, {}, "digits", "ab", 10, "convnet3", 0, "fp32", "lite")
FIRST, SECOND, THIRD = (
    EvaluateCell(MADE, ipc, "stored", "convnet3", "quick", 1, 2, "fp32") for ipc in (10, 1, 50)
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock whose time stands still."""
    monkeypatch.setattr("time.perf_counter", lambda: 100.0)
    return Clock()


def test_cells_that_run_side_by_side_share_the_time_left(clock: Clock) -> None:
    clock.begin([FIRST, SECOND, THIRD], {FIRST.id: 40.0, SECOND.id: 50.0, THIRD.id: 60.0})
    assert clock.time_left() == "2 min 30 s"
    clock.start(FIRST)
    assert clock.time_left() == "2 min 30 s"
    clock.start(SECOND)
    assert clock.time_left() == "75 s"
    clock.finish(SECOND, "ok", "", 50.0)  # a worker between two cells still counts
    assert clock.time_left() == "60 s"


def test_the_longest_cell_is_not_shared(clock: Clock) -> None:
    clock.begin([FIRST, SECOND], {FIRST.id: 10.0, SECOND.id: 90.0})
    clock.start(FIRST)
    clock.start(SECOND)
    assert clock.time_left() == "90 s"


def test_cells_without_an_estimate_count_by_what_such_cells_took(clock: Clock) -> None:
    clock.begin([MADE, FIRST, SECOND, THIRD], {})
    assert clock.time_left() == "unknown"
    clock.finish(MADE, "ok", "", 7.0)
    assert clock.time_left() == "unknown"
    clock.finish(FIRST, "ok", "", 20.0)
    assert clock.time_left() == "40 s"
    clock.finish(SECOND, "ok", "", 30.0)
    assert clock.time_left() == "25 s"
    clock.finish(THIRD, "failed", "", 1.0)
    assert clock.time_left() == "0 s"


def test_what_is_known_of_some_cells_is_a_least(clock: Clock) -> None:
    clock.begin([MADE, FIRST], {FIRST.id: 40.0})
    assert clock.time_left() == "more than 40 s"


def test_what_was_stored_says_nothing_of_the_time(clock: Clock) -> None:
    clock.begin([FIRST, SECOND], {})
    clock.finish(FIRST, "cached", "", 0.0)
    assert clock.time_left() == "unknown"


def test_a_loop_is_timed_by_its_own_pace(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.begin([FIRST, SECOND], {FIRST.id: 40.0, SECOND.id: 50.0})
    clock.start(FIRST)
    monkeypatch.setattr("time.perf_counter", lambda: 130.0)
    assert clock.time_left() == "60 s"
    clock.progress(FIRST, 300, 600, "epochs", {})
    assert clock.time_left() == "80 s"


def test_a_cell_of_another_seed_is_of_the_same_kind(clock: Clock) -> None:
    again = replace(FIRST, distil=replace(MADE, seed=1))
    clock.begin([FIRST, THIRD, again], {})
    clock.finish(FIRST, "ok", "", 20.0)
    clock.finish(THIRD, "ok", "", 80.0)
    assert clock.time_left() == "20 s"


@given(st.floats(0, 1e7))
def test_no_duration_has_sixty_seconds_or_minutes(seconds: float) -> None:
    assert not re.search(r"\b60 (s$|min)", format_seconds(seconds)) or seconds < 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(119.6, "2 min 00 s"), (3599.7, "1 h 00 min"), (7199.9, "2 h 00 min"), (60.2, "60 s")],
)
def test_a_duration_is_rounded_before_it_is_divided(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
