"""The standard output of commands: a full disk, a closed pipe, none at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main

FULL = Path("/dev/full")
COMMANDS = (
    ("--help",),
    ("run", "--help"),
    ("list", "methods"),
    ("published", "--dataset", "mnist"),
    ("table", "--store", "STORE"),
    ("run", "--method", "random", "--dataset", "digits", "--ipc", "1", "--profile", "smoke",
     "--eval-arch", "mlp", "--eval-nets", "1", "--store", "STORE", "--json"),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    root = tmp_path_factory.mktemp("store")
    command = [*COMMANDS[-1][:-2], str(root), "--data-dir", str(data_dir), "--json"]
    assert CliRunner().invoke(main, command).exit_code == 0
    return root


def arguments(command: tuple[str, ...], store: Path, data_dir: Path) -> list[str]:
    words = [str(store) if word == "STORE" else word for word in command]
    if command[0] == "run" and "--help" not in command:
        words += ["--data-dir", str(data_dir)]
    return [sys.executable, "-m", "bench", *words]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_message(command: tuple[str, ...], store: Path, data_dir: Path) -> None:
    with FULL.open("wb") as full:
        result = subprocess.run(
            arguments(command, store, data_dir), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: the output cannot be written: No space left on device"
    )
    assert "Traceback" not in result.stderr
    assert "ignored" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS[:5], ids=" ".join)
def test_a_reader_that_leaves_hears_nothing(
    command: tuple[str, ...], store: Path, data_dir: Path
) -> None:
    process = subprocess.Popen(
        arguments(command, store, data_dir),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in (0, 1)


def test_no_output_at_all(store: Path, data_dir: Path) -> None:
    command = arguments(("table", "--store", "STORE"), store, data_dir)
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
