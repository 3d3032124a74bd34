"""Plugin files: loaded as a whole or not at all, and what they register."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from plugin_text import PLUGIN, write

from bench.registry.plugin_files import load_plugin_file
from bench.registry.registry import METHODS
from bench.support.errors import BenchError


def test_a_file_registers_its_plugin(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    entry = METHODS.entry("test-mine")
    assert entry.load().value == 1
    assert entry.origin == str(path.resolve())
    assert entry.summary() == "My method."


def test_a_file_edited_within_a_second_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size and time: stored bytecode would be taken for current."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write(tmp_path, PLUGIN.format(value=1))
    os.utime(path, (1e9, 1e9))
    load_plugin_file(path)
    path.write_text(PLUGIN.format(value=2))
    os.utime(path, (1e9, 1e9))
    load_plugin_file(path)
    assert METHODS.get("test-mine").value == 2
    assert not list(path.parent.glob("__pycache__/*mine*"))


def test_a_summary_has_no_markup(tmp_path: Path) -> None:
    marked = "Draws :math:`N` images with ``seed``, see :py:class:`~a.B`."
    load_plugin_file(write(tmp_path, PLUGIN.format(value=1).replace("My method.", marked)))
    assert METHODS.entry("test-mine").summary() == "Draws N images with seed, see a.B."


def test_a_file_loaded_again_takes_its_own_place(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    load_plugin_file(path)
    path.write_text(PLUGIN.format(value=22).replace("Mine", "Renamed"))
    load_plugin_file(path)
    assert METHODS.get("test-mine").value == 22
    assert METHODS.names().count("test-mine") == 1


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    from bench.registry.param_values import resolve

    first = write(tmp_path / "a", PLUGIN.format(value=1))
    other = PLUGIN.format(value=2).replace("test-mine", "test-other").replace("= int", "= float")
    second = write(tmp_path / "b", other)
    load_plugin_file(first)
    load_plugin_file(second)
    mine, other_class = METHODS.get("test-mine"), METHODS.get("test-other")
    assert (mine.value, other_class.value) == (1, 2)
    assert sys.modules[mine.__module__].Mine is mine
    assert type(resolve(mine.Params, {"n": "4"}, owner="mine").n) is int


def test_two_files_must_not_share_a_plugin_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a", PLUGIN.format(value=1))
    second = write(tmp_path / "b", PLUGIN.format(value=2))
    load_plugin_file(first)
    with pytest.raises(BenchError, match=r"(?s)registered twice.*/a/mine.py.*/b/mine.py"):
        load_plugin_file(second)
    assert METHODS.get("test-mine").value == 1


def test_two_classes_of_one_file_must_not_either(tmp_path: Path) -> None:
    text = PLUGIN.format(value=1)
    path = write(tmp_path, text + text.replace("class Mine", "class Copied"))
    with pytest.raises(BenchError, match=r"(?s)registered twice.*:Mine.*:Copied"):
        load_plugin_file(path)
    assert "test-mine" not in METHODS.names()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("1 / 0", "plugin 'mine.py' does not import: ZeroDivisionError: division by zero"),
        ("import bench_absent_thing", "No module named 'bench_absent_thing'"),
        ("def broken(:", "SyntaxError"),
        ("\x00", "null byte"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("register('nothing')", "unknown plugin kind 'nothing'"),
        ("@register('dataset')\nclass Bare: pass", "Bare is registered as a dataset, but is not"),
        ("@register('method')\nclass Bare(Method): pass", "method Bare has no name"),
        (
            "from bench.plugin import BenchError\nraise BenchError('its own words')",
            "its own words",
        ),
    ],
)
def test_a_file_that_fails_leaves_nothing_behind(ending: str, words: str, tmp_path: Path) -> None:
    before = set(sys.modules)
    path = write(tmp_path, PLUGIN.format(value=1) + "\n" + ending)
    with pytest.raises(BenchError) as caught:
        load_plugin_file(path)
    assert words in str(caught.value)
    assert "test-mine" not in METHODS.names()
    assert not [m for m in set(sys.modules) - before if m.startswith("bench_plugin_")]


def test_a_file_that_fails_later_leaves_its_former_self(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    former = METHODS.get("test-mine")
    path.write_text(PLUGIN.format(value=333) + "\n1 / 0")
    with pytest.raises(BenchError):
        load_plugin_file(path)
    assert METHODS.get("test-mine") is former
    assert sys.modules[former.__module__].Mine is former


def test_an_interruption_leaves_nothing_behind_either(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1) + "\nraise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugin_file(path)
    assert "test-mine" not in METHODS.names()


def test_what_a_file_imports_keeps_its_own_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = PLUGIN.format(value=5).replace("test-mine", "test-helper")
    write(tmp_path, helper, "bench_test_helper.py")
    monkeypatch.syspath_prepend(tmp_path)
    path = write(tmp_path, "import bench_test_helper\n" + PLUGIN.format(value=1))
    load_plugin_file(path)
    load_plugin_file(path)  # the helper is not imported again, and stays known
    assert METHODS.get("test-helper").value == 5
    assert METHODS.entry("test-helper").origin == "bench_test_helper"
    assert METHODS.entry("test-mine").origin == str(path.resolve())


@pytest.mark.parametrize("name", ["mine.txt", "mine", "mine.pyc", ".py"])
def test_a_file_that_is_not_python(name: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is not a Python file"):
        load_plugin_file(write(tmp_path, PLUGIN.format(value=1), name))


@pytest.mark.parametrize("name", ["absent.py", "."])
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"plugin file '.*' does not exist"):
        load_plugin_file(tmp_path / name)


def test_a_relative_path_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PLUGIN.format(value=9))
    monkeypatch.chdir(tmp_path)
    load_plugin_file(Path("mine.py"))
    values: list[Any] = [METHODS.get("test-mine").value]
    assert values == [9]


@pytest.mark.parametrize("text", ["", "from bench.plugin import Method\nclass Mine(Method): pass"])
def test_a_file_that_registers_nothing_is_an_error(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    for _ in range(2):
        with pytest.raises(BenchError, match=r"mine.py' registered nothing: put @register"):
            load_plugin_file(path)


def test_a_file_that_registers_nothing_any_more_leaves_its_former_self(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    write(tmp_path, PLUGIN.format(value=22).replace("@register", "# @register"))
    with pytest.raises(BenchError, match="registered nothing"):
        load_plugin_file(path)
    assert METHODS.get("test-mine").value == 1


def test_a_file_may_register_through_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PLUGIN.format(value=5), "bench_test_imported.py")
    monkeypatch.syspath_prepend(tmp_path)
    path = write(tmp_path, "import bench_test_imported")
    load_plugin_file(path)
    load_plugin_file(path)
    assert METHODS.get("test-mine").value == 5
