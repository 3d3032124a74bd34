"""The ranges of the first table are those of its committed accuracies."""

from __future__ import annotations

import runpy
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "results" / "first-table"


def test_the_table_is_that_of_the_accuracies() -> None:
    header, _, *rows = runpy.run_path(str(FOLDER / "ranges.py"))["table"]()
    assert header.count("|") == 8
    assert len(rows) == 4
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [row for row in rows if row not in text] == []
