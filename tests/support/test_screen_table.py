"""Tables for terminals: at any width nothing is cut, and what is essential stays on its line."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bench.support.screen_table import ScreenTable, essential_columns

HEADERS = ("Method", "Mode", "Changed", "Accuracy")
WORDS = st.text(alphabet="abcxyz019=._±é字", min_size=1, max_size=12)
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)


def draw(table: ScreenTable, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def table_of(rows: list[tuple[str, ...]], *, title: str = "", ruled: bool = False) -> ScreenTable:
    columns = essential_columns(HEADERS, ("Method", "Accuracy"), (False, False, False, True))
    texts = [[Text(text) for text in row] for row in rows]
    return ScreenTable(columns, texts, title, box.SIMPLE_HEAD if ruled else None)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(
    st.lists(st.tuples(WORDS, TEXTS, TEXTS, WORDS), min_size=1, max_size=4),
    st.integers(36, 140),
    st.booleans(),
)
def test_nothing_is_cut_and_the_essential_stays(
    rows: list[tuple[str, ...]], width: int, ruled: bool
) -> None:
    named = [(f"m{i}m{method}", *others) for i, (method, *others) in enumerate(rows)]
    lines = draw(table_of(named, ruled=ruled), width)
    assert max(cell_len(line) for line in lines) <= width
    assert "…" not in "".join(lines)
    for method, mode, changed, accuracy in named:
        line = next(each for each in lines if method in each.split())
        assert line.endswith(accuracy)
        drawn = Counter(squeezed("".join(lines)))
        assert not Counter(squeezed(mode + changed)) - drawn


ROWS = [("dm", "stored", "lr_img=0.5, iterations=20, batch_real=64, init=noise", "26.5 ± 0.4")]


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 100])
def test_every_text_is_there_at_every_width(width: int) -> None:
    drawn = squeezed(" ".join(draw(table_of(ROWS), width)))
    for text in ("dm", "stored", "26.5±0.4"):
        assert text in drawn
    for word in ("lr_img=0.5", "iterations=20", "batch_real=64", "init=noise"):
        assert word in drawn


def test_others_wrap_before_they_are_listed_below() -> None:
    wide, narrow = draw(table_of(ROWS), 60), draw(table_of(ROWS), 34)
    assert wide[0].split() == list(HEADERS)
    assert wide[1].split()[-3:] == ["26.5", "±", "0.4"]
    assert narrow[:2] == ["Method    Accuracy", "dm      26.5 ± 0.4"]
    assert narrow[2] == "    Mode: stored; Changed:"


def test_an_empty_text_is_not_listed() -> None:
    lines = draw(table_of([("dm", "", "", "26.5"), ("dc", "x" * 30, "", "1.0")], title="T"), 24)
    assert lines[0] == "T"
    assert lines[2:] == ["dm          26.5", "dc           1.0", "    Mode:", f"    {'x' * 20}",
                         f"    {'x' * 10}"]  # fmt: skip
