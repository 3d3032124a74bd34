"""Every method has a page, and what the pages call measured is what the records say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from bench.registry.registry import METHODS

ROOT = Path(__file__).parents[1]


def test_every_method_has_a_page() -> None:
    pages = {page.stem for page in (ROOT / "docs/methods").glob("*.md")}
    assert set(METHODS.names()) - {"cafe-dsa"} == pages, "cafe's page is for both of its forms"


def test_the_numbers_are_those_of_the_records(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = str(ROOT / "results/reproduced/checks/pages.py")
    monkeypatch.setattr(sys, "argv", [script, "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script, run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr().out
