"""Facts of classes read from source: literals, base classes, and modules that are never run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.registry.class_source import ClassSource, read_class

MODULE = '''
raise RuntimeError("must not run")

class Base:
    """Base."""
    label = "Base"
    colour = "#000000"
    marker: str = "o"
    order: int

class Loop(Loop): pass

class Mine(Base, Absent):
    """Mine.

    More.
    """
    label: ClassVar[str] = "Mine"
    marker = compute()
    modes = ("stream", "frozen")
    paper = Paper("A title", 2023, authors="A. Author")
    other = Paper(title())

class Other(Missing, Mine):
    colour = "#ffffff"
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that must not be imported, with a module in it."""
    name = f"bench_test_source_{tmp_path.name}".replace("-", "_")
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not run')")
    (package / "inner.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return f"{name}.inner"


def test_literals_are_read_without_running_the_module_or_its_package(module: str) -> None:
    mine = read_class(module, "Mine")
    assert mine.docstring == "Mine.\n\nMore."
    assert mine.literals == {
        "label": "Mine", "colour": "#000000", "modes": ("stream", "frozen"),
    }  # fmt: skip
    assert mine.calls == {
        "paper": (("A title", 2023), {"authors": "A. Author"}),
        "marker": ((), {}),
    }
    assert not {module, module.partition(".")[0]} & set(sys.modules)


def test_bases_of_the_module_are_followed_and_others_ignored(module: str) -> None:
    other = read_class(module, "Other")
    assert (other.literals["label"], other.literals["colour"]) == ("Mine", "#ffffff")
    assert other.calls["paper"][0] == ("A title", 2023)
    assert other.docstring is None
    assert read_class(module, "Loop") == ClassSource()


@pytest.mark.parametrize("name", ["Absent", "compute"])
def test_an_absent_class_is_empty(module: str, name: str) -> None:
    assert read_class(module, name) == ClassSource()


@pytest.mark.parametrize("absent", ["bench_no_such_module", "bench.no.such", "sys", "..x", ""])
def test_a_module_without_source_is_empty(absent: str) -> None:
    assert read_class(absent, "Mine") == ClassSource()


def test_a_module_that_is_no_python_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bench_test_not_python.py").write_text("def broken(:")
    monkeypatch.syspath_prepend(tmp_path)
    assert read_class("bench_test_not_python", "Mine") == ClassSource()
