"""The script that measures DiM on a GPU, tried on a CPU with the smallest settings."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from bench.evaluation.protocols import get_protocol
from bench.ledger.store import Store
from bench.networks.architecture import parse_architecture
from bench.registry.registry import METHODS

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


@pytest.mark.parametrize("printed", ["print('on', flush=True)", "print('.', end='', flush=True)"])
def test_a_command_that_takes_too_long_is_asked_to_stop(
    check: ModuleType, tmp_path: Path, printed: str
) -> None:
    """Also one that ends no line, as pytest does while its tests pass."""
    loop = (
        "import time\ntry:\n"
        f"    while True: {printed}; time.sleep(0.01)\n"
        "except KeyboardInterrupt: print('saved')"
    )
    assert check.execute([sys.executable, "-c", loop], tmp_path / "log.txt", 1.0) == 0
    assert (tmp_path / "log.txt").read_text().endswith("saved\n")


def test_a_command_stops_where_this_process_ignores_ctrl_c(
    check: ModuleType, tmp_path: Path
) -> None:
    """As a shell has it for what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = [sys.executable, "-c", "import time; time.sleep(20)"]
        assert check.execute(command, tmp_path / "log.txt", 0.5) != 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_generators_come_home_newest_first_and_no_dataset_does(
    check: ModuleType, tmp_path: Path
) -> None:
    for age, (name, method, size) in enumerate(
        [("new", "dim", 6), ("real", "real-stream", 1), ("old", "gan", 6), ("older", "gan", 3)]
    ):
        folder = tmp_path / "cells" / name
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps({"identity": {"method": method}}))
        (folder / "artefact.safetensors").write_bytes(bytes(size))
        os.utime(folder / "artefact.safetensors", (1000 - age, 1000 - age))
    check.GENERATOR_BYTES = 10
    assert [path.parent.name for path in check.generators(tmp_path)] == ["new", "older"]


def test_every_part_can_be_asked_for(check: ModuleType) -> None:
    for part in check.PARTS:
        assert get_protocol(part.protocol).selection == "last"
        assert set(part.methods.split(",")) <= set(METHODS.names())
    assert all(parse_architecture(arch) for arch in check.RESNETS.values())


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
        "--dataset", "digits", "--ipc", "1", "--profile", "smoke", "--device", "cpu",
        "--precision", "fp32", "--eval-nets", "1", "--protocol", "smoke",
        "--eval-arch", "convnet3(width=8)",
    )  # fmt: skip
    call("dim", *smallest, "--minutes", "0.1")
    call("dim", *smallest, "--minutes", "20")
    table = (out / "table.md").read_text()
    assert all(each in table for each in ("DiM", "GAN", "Real stream"))
    with tarfile.open(out / "store.tar") as archive:
        archive.extractall(tmp_path / "home", filter="data")
    home = Store(tmp_path / "home" / "store")
    assert {r.id for r in home.records()} == {r.id for r in Store(store).records()}
    artefacts = {path.parent.name for path in home.root.glob("cells/*/artefact.safetensors")}
    kinds = {home.read(cell).identity["method"] for cell in artefacts}
    assert kinds == {"gan", "dim"}
