"""Ids that are cut short: one cell is meant, or none, or the error names them all."""

from __future__ import annotations

import pytest

from bench.ledger.short_id import SHORTEST, complete_id
from bench.support.errors import BenchError

IDS = ("4f1c0a", "4f1c0b", "4f1d00", "abcdef", "abcdef0123")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4f1d", "4f1d00"),
        ("4f1c0a", "4f1c0a"),
        ("abcdef", "abcdef"),  # whole, though another id starts so
        ("abcdef0", "abcdef0123"),
        ("4f1", None),  # too short
        ("4f1e", None),
        ("4F1D", None),
        ("", None),
        ("4f1d00ff", None),
        ("../4f1d", None),
        ("4f1d\n", None),
    ],
)
def test_what_is_meant(text: str, meant: str | None) -> None:
    assert complete_id(text, IDS) == meant


@pytest.mark.parametrize("text", ["4f1c", "4f1c0", "abcde"])
def test_what_several_ids_start_with_is_refused(text: str) -> None:
    several = [each for each in IDS if each.startswith(text)]
    assert len(several) == 2
    with pytest.raises(BenchError) as error:
        complete_id(text, IDS, lambda each: f"cell {each}")
    lines = str(error.value).splitlines()
    assert lines[0] == f"'{text}' is the beginning of 2 ids of cells:"
    assert lines[1:] == [f"  {each}  cell {each}" for each in several]


def test_of_very_many_ten_are_listed() -> None:
    ids = [f"{'a' * SHORTEST}{number:04}" for number in range(1200)]
    with pytest.raises(BenchError) as error:
        complete_id("a" * SHORTEST, ids)
    lines = str(error.value).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  and 1,190 more"
