"""Messages name the thing, the value, a near miss and what is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.support.errors import BenchError, UnknownNameError, unknown_message

KNOWN = ["random", "herding", "dm", "DiM"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("hering", "herding"), ("Random", "random"), ("HERDING", "herding"), ("dim", "DiM")],
)
def test_a_near_miss_is_suggested(typed: str, meant: str) -> None:
    assert f"Did you mean '{meant}'?" in unknown_message("method", typed, KNOWN)


def test_nothing_near_suggests_nothing() -> None:
    message = unknown_message("method", "zzz", KNOWN)
    assert message == "unknown method 'zzz'. Known: DiM, dm, herding, random."


def test_nothing_known_says_so() -> None:
    assert unknown_message("dataset", "x", []) == "unknown dataset 'x'. Known: none."


def test_known_may_be_an_iterator_and_is_kept_sorted() -> None:
    error = UnknownNameError("method", "rndom", iter(KNOWN))
    assert isinstance(error, BenchError)
    assert error.known == sorted(KNOWN)
    assert (error.kind, error.name) == ("method", "rndom")
    assert "Did you mean 'random'?" in str(error)


NAMES = st.text("aAbr1-. '\n", max_size=9)


@settings(deadline=None, max_examples=60)
@given(NAMES, st.lists(NAMES, max_size=5))
def test_every_message_holds_the_name_and_all_that_is_known(name: str, known: list[str]) -> None:
    message = unknown_message("method", name, known)
    assert f"'{name}'" in message
    assert all(k in message for k in known)
