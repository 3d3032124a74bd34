"""Imports: light commands import no torch, and the contracts of import-linter are kept."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]

PROBE = """
import sys
from bench.cli import main
try:
    main({arguments!r}, standalone_mode=False)
except SystemExit:
    pass
heavy = sorted(m for m in ("torch", "torchvision", "kornia", "matplotlib") if m in sys.modules)
print("IMPORTED", heavy)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["speed", "--help"],
        ["list", "methods"],
        ["list", "architectures"],
        ["list", "datasets"],
        ["list", "protocols", "--json"],
        ["table", "--store", "nowhere"],
        ["data", "list"],
    ],
    ids=" ".join,
)
def test_light_commands_import_no_torch(arguments: list[str], tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**__import__("os").environ, "BENCH_DATA": str(tmp_path / "data")},
    )  # fmt: skip
    assert "IMPORTED []" in result.stdout, result.stdout + result.stderr


def test_layers() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_contract_makes_an_exception() -> None:
    assert [c["id"] for c in CONTRACTS if "ignore_imports" in c] == []


def test_the_contract_for_plugins_names_all_of_bench_but_one_module() -> None:
    (contract,) = (c for c in CONTRACTS if c["id"] == "plugins-import-one-module")
    children = {path.stem for path in (ROOT / "bench").iterdir() if not path.name.startswith("__p")}
    expected = {f"bench.{name}" for name in children - {"__init__", "plugin", "py"}}
    assert set(contract["forbidden_modules"]) == expected
