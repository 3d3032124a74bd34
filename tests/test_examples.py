"""The examples run, in this process: a new one would import torch for seconds."""

from __future__ import annotations

import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import bench
from bench.distilled.io import save
from bench.evaluation.protocols import PROTOCOLS

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["set.safetensors", "foreign.pt"])
def test_training_on_a_distilled_set(
    name: str,
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that bench wrote, and one in another layout."""
    real = bench.load_dataset("digits", data_dir=data_dir).train
    made = bench.distil("random", real, ipc=10).distilled
    save(made, tmp_path / "set.safetensors")
    images, labels = made.source("stored", 10, torch.Generator()).epoch(torch.Generator())
    torch.save({"images": images[:], "labels": labels}, tmp_path / "foreign.pt")
    monkeypatch.setenv("BENCH_DATA", str(data_dir))
    arguments = [str(tmp_path / name), "--dataset", "digits", "--epochs", "60"]
    monkeypatch.setattr(sys, "argv", ["train_on_distilled.py", *arguments])
    runpy.run_path(str(EXAMPLES / "train_on_distilled.py"), run_name="__main__")
    output = capsys.readouterr().out
    found = re.search(r"([\d.]+) % of 360 test images", output)
    assert found is not None, output
    assert float(found[1]) > 50  # chance is 10


def test_first_steps(
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_DATA", str(data_dir))
    # What is shown does not depend on how long networks are trained.
    monkeypatch.setitem(PROTOCOLS, "smoke", replace(PROTOCOLS["smoke"], epochs=2))
    runpy.run_path(str(EXAMPLES / "first_steps.py"), run_name="__main__")
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert len(re.findall(r"accuracy of each network|of these images", output)) == 2
    assert lines[0] == "torch.Size([1437, 1, 16, 16]) torch.Size([360, 1, 16, 16])"
    assert re.search(r"^random +[\d.]+ +[\d.]+$", output, re.MULTILINE), "the frame"
    table = r"^\| DM +\| stored +\| smoke +\| +[\d.]+ ± [\d.]+"
    assert re.search(table, output, re.MULTILINE)
    for name in ("accuracy", "gallery-digits-ipc1", "gallery-digits-ipc10"):
        path = tmp_path / "first-steps" / f"{name}.png"
        assert str(path.relative_to(tmp_path)) in lines
        assert path.stat().st_size > 1000
