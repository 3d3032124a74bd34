"""The script that measures DiM on a GPU, tried on a CPU with the smallest settings."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "results/reproduced/gpu/check.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_large_file_is_cut_into_parts_that_add_up(check: ModuleType, tmp_path: Path) -> None:
    check.PART_BYTES = 10
    data = bytes(range(25))
    (tmp_path / "store.tar.xz").write_bytes(data)
    check.split(tmp_path / "store.tar.xz")
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts] == [f"store.tar.xz.0{i}" for i in range(3)]
    assert b"".join(part.read_bytes() for part in parts) == data


def test_a_command_that_takes_too_long_is_asked_to_stop(check: ModuleType, tmp_path: Path) -> None:
    loop = "import time\nwhile True: print('on', flush=True); time.sleep(0.01)"
    code = check.execute([sys.executable, "-c", loop], tmp_path / "log.txt", 0.3)
    assert code != 0
    assert "on\n" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_dim_is_computed_in_calls_that_add_up(tmp_path: Path) -> None:
    out, store = tmp_path / "out", tmp_path / "store"

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *words, "--out", str(out), "--store", str(store)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    smallest = (
        "--dataset", "digits", "--ipc", "1,2", "--profile", "smoke", "--device", "cpu",
        "--precision", "fp32", "--eval-nets", "1", "--set", "gan.max_steps=4",
        "--set", "dim.gan.max_steps=4", "--set", "dim.max_steps=2",
    )  # fmt: skip
    call("dim", *smallest, "--minutes", "0.1")
    call("dim", *smallest, "--minutes", "20")
    call("pack")
    table = (out / "table.md").read_text()
    assert "DiM" in table
    assert "real-stream" in table.lower() or "Real stream" in table
    with tarfile.open(out / "store.tar.xz") as archive:
        assert any(name.endswith("record.json") for name in archive.getnames())
