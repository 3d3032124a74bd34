"""The source of a plugin: what changes its hash, and what does not."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_text import PLUGIN

from bench.registry.plugin_files import load_plugin_file
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    yield
    METHODS.unregister("test-mine")


def source(folder: Path, name: str = "mine.py") -> str:
    """Return the hash of a module, as another process computes it."""
    code = (
        "import sys; from types import ModuleType as Module\n"
        "sys.modules['mine'] = Module('mine'); sys.modules['mine'].__file__ = sys.argv[1]\n"
        "from bench.registry.plugin_source import read_source\n"
        "print(read_source('mine').sha256)"
    )
    command = [sys.executable, "-c", code, str(folder / name)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(folder: Path, head: str = "", files: dict[str, str] | None = None) -> Path:
    """Write a plugin that begins with ``head``, and files beside it."""
    for name, text in {"mine.py": head + PLUGIN.format(value=1), **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


# How a plugin brings code from beside itself, and the files that this reaches.
IMPORTS = {
    "module": ("import helper\n", ["helper.py"]),
    "name": ("from helper import value\n", ["helper.py"]),
    "star": ("from helper import *\n", ["helper.py"]),
    "renamed": ("import helper as other\n", ["helper.py"]),
    "in a function": ("def late():\n    import helper\n", ["helper.py"]),
    "by text": ("import importlib\nimportlib.import_module('helper')\n", ["helper.py"]),
    "by file": (
        "from pathlib import Path\nexec((Path(__file__).parent / 'helper.py').read_text())\n",
        ["helper.py"],
    ),
    "package": ("import tools.inner.deep\n", ["tools/__init__.py", "tools/inner/deep.py"]),
    "module of a package": ("from tools import deep\n", ["tools/__init__.py", "tools/deep.py"]),
    "folder": ("from tools import deep\n", ["tools/deep.py"]),
    "indirect": ("import first\n", ["first.py", "helper.py"]),
    "relative": ("import tools\n", ["tools/__init__.py", "tools/deep.py"]),
}
TEXTS = {"first.py": "import helper\n", "tools/__init__.py": "# package\n"}


@pytest.mark.parametrize("how", IMPORTS)
def test_what_a_plugin_imports_from_beside_itself_counts(how: str, tmp_path: Path) -> None:
    head, names = IMPORTS[how]
    files = {name: TEXTS.get(name, "value = 1\n") for name in names}
    if how == "relative":
        files["tools/__init__.py"] = "from .deep import value\n"
    write(tmp_path, head, files)
    before = source(tmp_path)
    for name in names:
        path = tmp_path / name
        text = path.read_text()
        path.write_text(text + "other = 2\n")
        assert source(tmp_path) != before, name
        path.write_text(text)
    assert source(tmp_path) == before


def test_its_own_text_counts(tmp_path: Path) -> None:
    before = source(write(tmp_path))
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("value = 1", "value = 2"))
    assert source(tmp_path) != before


def test_other_files_do_not_count(tmp_path: Path) -> None:
    before = source(write(tmp_path, "import json\nimport numpy\n"))
    write(tmp_path, "import json\nimport numpy\n", {"neighbour.py": "x = 1\n", "data.txt": "x"})
    assert source(tmp_path) == before


def test_name_place_and_line_ends_do_not_count(tmp_path: Path) -> None:
    files = {"tools/__init__.py": "value = 1\n"}
    before = source(write(tmp_path / "a", "import tools\n", files))
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")
    moved = tmp_path / "b" / "c"
    text = (moved / "mine.py").read_bytes().replace(b"\n", b"\r\n")
    (moved / "renamed.py").write_bytes(text)
    assert source(moved, "renamed.py") == before


def test_a_file_of_a_package_brings_its_package(tmp_path: Path) -> None:
    files = {"__init__.py": "", "helper.py": "value = 1\n"}
    write(tmp_path / "pkg", "", files)
    path = tmp_path / "pkg" / "mine.py"
    path.write_text("from pkg.helper import value\n" + path.read_text())
    code = tmp_path / "pkg" / "helper.py"

    def hashed() -> str:
        load_plugin_file(path)
        found = METHODS.source("test-mine")
        assert found is not None
        return found.sha256

    sys.path.insert(0, str(tmp_path))
    try:
        before = hashed()
        # This process has imported the helper: it goes on with it, and the hash says so.
        code.write_text("value = 2\n")
        assert hashed() == before
        path.write_text(path.read_text() + "# edited\n")
        assert hashed() != before
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("pkg", "pkg.helper"):
            sys.modules.pop(name, None)


def test_a_package_among_the_installed_ones_brings_itself_only(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    text = PLUGIN.format(value=1)
    files = {
        "mine/__init__.py": "", "mine/method.py": "import other\nimport mine.tools\n" + text,
        "mine/tools.py": "value = 1\n", "other.py": "value = 1\n",
    }  # fmt: skip
    write(installed, "", files)
    before = source(installed, "mine/method.py")
    (installed / "other.py").write_text("value = 2\n")
    assert source(installed, "mine/method.py") == before
    (installed / "mine" / "tools.py").write_text("value = 2\n")
    assert source(installed, "mine/method.py") != before


@pytest.mark.parametrize("registry", [METHODS, ARCHITECTURES, GENERATORS, DATASETS])
def test_plugins_of_bench_itself_have_none(registry) -> None:
    for name in registry.names():
        if registry.entry(name).origin.startswith("distillation-bench"):
            assert registry.source(name) is None, name


def test_a_plugin_file_beside_bench_does_not_bring_bench(tmp_path: Path) -> None:
    importlib.import_module("bench.plugin")
    for package in ("bench", "methods", "architectures"):
        (tmp_path / package).symlink_to(REPOSITORY / package)
    assert source(write(tmp_path)) == source(write(tmp_path / "elsewhere"))
