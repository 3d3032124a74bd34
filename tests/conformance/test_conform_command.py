"""``bench conform``: where a check failed, each reason once, and the tracebacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.registry.registry import METHODS

BROKEN = '''
from bench.plugin import SelectionMethod, register

@register("method")
class Broken(SelectionMethod):
    """Fails when it selects."""
    name = "broken-selection"

    def select(self):
        raise ZeroDivisionError("no images")
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "broken.py"
    path.write_text(BROKEN)
    yield path
    METHODS.unregister("broken-selection")


def test_a_failure_has_a_line_a_reason_and_a_log(plugin: Path) -> None:
    result = CliRunner().invoke(main, ["conform", "broken-selection", "--plugin", str(plugin)])
    assert result.exit_code == 1
    line = BROKEN.splitlines().index('        raise ZeroDivisionError("no images")') + 1
    assert f"ZeroDivisionError: no images ({plugin}:{line})" in result.output
    assert result.output.count("no images") == 1
    assert "as in determinism" in result.output
    log = Path(result.output.split("whole tracebacks: ")[1].strip())
    text = log.read_text()
    log.unlink()
    assert text.count("Traceback") == result.output.count("failed  ")
