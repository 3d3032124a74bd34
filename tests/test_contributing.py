"""The plugin that CONTRIBUTING shows is run: through the suite, and through ``bench run``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.conformance import method_checks
from bench.registry.plugin_files import load_plugin_file
from bench.registry.registry import METHODS

ROOT = Path(__file__).parents[1]


def shown_plugin() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- plugin -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mean_match.py"
    path.write_text(shown_plugin(), encoding="utf-8")
    yield path
    METHODS.unregister("mean-match")


def test_it_is_about_forty_lines() -> None:
    code = [line for line in shown_plugin().splitlines() if line.strip()]
    assert len(code) <= 50


@pytest.mark.parametrize("check", method_checks(), ids=lambda c: c.__name__)
def test_it_passes_the_suite(check, plugin: Path) -> None:
    load_plugin_file(plugin)
    check(METHODS.get("mean-match"))


def test_bench_conform_says_so(plugin: Path) -> None:
    result = CliRunner().invoke(main, ["conform", "mean-match", "--plugin", str(plugin)])
    assert result.exit_code == 0, result.output
    assert result.output.count("ok  ") == len(method_checks())


def test_it_runs(plugin: Path, tmp_path: Path, data_dir: Path) -> None:
    arguments = [
        "run", "--plugin", str(plugin), "--method", "mean-match", "--dataset", "digits",
        "--ipc", "1", "--profile", "smoke", "--arch", "convnet2(width=8)", "--eval-nets", "1",
        "--store", str(tmp_path / "store"), "--data-dir", str(data_dir), "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["results"]
    assert row["method"] == "mean-match"
    assert row["profile"] == "smoke"
    assert 0 < row["mean"] <= 100
