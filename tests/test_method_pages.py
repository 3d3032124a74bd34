"""Every method has a page, and what the pages call measured is what the records say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.registry.registry import METHODS

ROOT = Path(__file__).parents[1]


def test_every_method_has_a_page() -> None:
    pages = {page.stem for page in (ROOT / "docs/methods").glob("*.md")}
    assert set(METHODS.names()) - {"cafe-dsa"} == pages, "cafe's page is for both of its forms"


def test_the_numbers_are_those_of_the_records() -> None:
    script = ROOT / "results/reproduced/checks/pages.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
