"""Start-up: what must not import torch, does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("package", ["methods", "architectures"])
def test_bench_never_imports_its_plugins(package: str) -> None:
    root = Path(__file__).parents[1]
    for path in (root / "bench").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            words = line.split()
            bad = words[:1] in (["from"], ["import"]) and words[1].split(".")[0] == package
            assert not bad, f"{path}: {line}"


@pytest.mark.parametrize("package", ["methods", "architectures"])
def test_plugins_import_only_the_plugin_module(package: str) -> None:
    root = Path(__file__).parents[1]
    for path in (root / package).rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].split(".")[0] == "bench":
                assert words[1] == "bench.plugin", f"{path}: {line}"
