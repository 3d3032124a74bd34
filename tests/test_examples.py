"""The examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bench
from bench.distilled.io import save

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["set.safetensors", "foreign.pt"])
def test_training_on_a_distilled_set(name: str, tmp_path: Path, data_dir: Path) -> None:
    """One that bench wrote, and one in another layout."""
    real = bench.load_dataset("digits", data_dir=data_dir).train
    made = bench.distil("random", real, ipc=10).distilled
    save(made, tmp_path / "set.safetensors")
    images, labels = made.source("stored", 10, torch.Generator()).epoch(torch.Generator())
    torch.save({"images": images[:], "labels": labels}, tmp_path / "foreign.pt")
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / "train_on_distilled.py", tmp_path / name,
         "--dataset", "digits", "--epochs", "60"],
        capture_output=True, text=True, check=True, env={**os.environ, "BENCH_DATA": str(data_dir)},
    )  # fmt: skip
    found = re.search(r"([\d.]+) % of 360 test images", result.stdout)
    assert found is not None, result.stdout
    assert float(found[1]) > 50  # chance is 10


def test_first_steps(tmp_path: Path, data_dir: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / "first_steps.py"], cwd=tmp_path, check=True,
        capture_output=True, text=True,
        env={**os.environ, "BENCH_DATA": str(data_dir), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert len(re.findall(r"accuracy of each network|of these images", result.stdout)) == 2
    assert lines[0] == "torch.Size([1437, 1, 16, 16]) torch.Size([360, 1, 16, 16])"
    assert re.search(r"^random +[\d.]+ +[\d.]+$", result.stdout, re.MULTILINE), "the frame"
    table = r"^\| DM +\| stored +\| smoke +\| +[\d.]+ ± [\d.]+"
    assert re.search(table, result.stdout, re.MULTILINE)
    for name in ("accuracy", "gallery-digits-ipc1", "gallery-digits-ipc10"):
        path = tmp_path / "first-steps" / f"{name}.png"
        assert str(path.relative_to(tmp_path)) in lines
        assert path.stat().st_size > 1000
