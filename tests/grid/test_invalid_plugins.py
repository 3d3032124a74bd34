"""Plugins whose own answers make no record: they fail with the reason, and nothing is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from store_contents import read_records

from bench.cli import main
from bench.registry.registry import METHODS

PLUGIN = """
import os

import torch

from bench.plugin import SelectionMethod, register
{at_import}

@register("method")
class Odd(SelectionMethod):
    \"\"\"Answers oddly.\"\"\"

    name = "odd"
    version = {version}
    uses_arch = False

    def steps(self):
        return {steps}

    def select(self):
        return torch.cat([index[: self.ipc] for index in self.ctx.real.class_indices])
"""


@pytest.fixture
def run(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """Run ``odd`` and ``random`` in an own folder with a relative store."""
    monkeypatch.chdir(tmp_path)

    def go(version: str = "1", steps: str = "1", at_import: str = "") -> Result:
        text = PLUGIN.format(version=version, steps=steps, at_import=at_import)
        (tmp_path / "odd.py").write_text(text)
        return CliRunner().invoke(
            main,
            ["run", "--plugin", "odd.py", "--method", "odd,random", "--dataset", "digits", "--ipc",
             "1", "--arch", "convnet1(width=4)", "--profile", "smoke", "--eval-nets", "1",
             "--store", "store", "--data-dir", str(data_dir), "--json"],
        )  # fmt: skip

    yield go
    METHODS.unregister("odd")


@pytest.mark.parametrize("version", ['"1.0"', "1.0", "0", "-1", "True", "None", "10 ** 30"])
def test_a_version_that_is_no_whole_number_is_refused_before_the_run(
    run, tmp_path: Path, version: str
) -> None:
    result = run(version=version)
    assert result.exit_code == 2
    assert (
        "of the method 'odd' is not allowed: it must be a whole number from 1 up" in result.stderr
    )
    assert not list(tmp_path.glob("store/cells/*"))


@pytest.mark.parametrize("steps", ["-5", "1.5", '"3"', "True", "None", "float('nan')"])
def test_steps_that_are_no_number_of_steps_fail_the_cell(run, tmp_path: Path, steps: str) -> None:
    result = run(steps=steps)
    assert result.exit_code == 1
    read = read_records(tmp_path / "store").values()
    records = {(each.labels["method"], each.kind): each for each in read}
    odd = records["odd", "distil"]
    assert odd.status == "failed"
    assert "steps() of the method 'odd' returned " in (odd.reason or "")
    assert records["random", "evaluate"].status == "ok"
    assert [row["method"] for row in json.loads(result.stdout)["results"]] == ["random"]


def test_a_plugin_that_changes_the_folder_does_not_split_a_relative_store(
    run, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    change = f"os.chdir({os.fspath(tmp_path / 'elsewhere')!r})"
    result = run(at_import=change)
    assert result.exit_code == 0, result.output
    assert len(read_records(tmp_path / "store")) == 4
    assert not list((tmp_path / "elsewhere").iterdir())
