"""Plugins by name: lazily loaded, never taken twice, and plugin files that are all or nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import pytest

from bench.registry.registry import (
    ARCHITECTURES,
    DATASETS,
    METHODS,
    Registry,
    load_plugin_file,
    register,
)
from bench.support.errors import BenchError, UnknownNameError

PLUGIN = '''
from dataclasses import dataclass
from bench.registry.registry import register

Number = int

@register("method")
class Mine:
    """My method.

    More about it.
    """
    name = "test-mine"
    value = {value}

    @dataclass(frozen=True)
    class Params:
        n: "Number" = 3
'''


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    modules = set(sys.modules)
    yield
    for registry in (METHODS, ARCHITECTURES, DATASETS):
        for name in registry.names():
            if name.startswith("test-"):
                registry.unregister(name)
    for name in set(sys.modules) - modules:
        if name.startswith("bench_plugin_"):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def installed(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> Registry:
    monkeypatch.setattr("bench.registry.registry.entry_points", lambda group: points)
    return Registry("method", "bench.methods")


class Dist:
    """A distribution, as importlib.metadata hands it out."""

    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.0"


def point(name: str, value: str, dist: str | None = None) -> EntryPoint:
    made = EntryPoint(name, value, "bench.methods")
    return made if dist is None else made._for(Dist(dist))  # type: ignore[attr-defined]


# --- installed plugins -------------------------------------------------------------------------


def test_names_and_summaries_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from bench.registry.registry import METHODS, ARCHITECTURES, DATASETS, GENERATORS\n"
        "for r in (METHODS, ARCHITECTURES, DATASETS, GENERATORS):\n"
        "    assert r.names() == sorted(r.names()) and r.names()\n"
        "    for name in r.names(): r.entry(name).summary()\n"
        "print(METHODS.entry('dim').summary())\n"
        "print(sorted({'torch', 'numpy', 'methods.dim'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    summary, heavy = done.stdout.splitlines()
    assert summary
    assert heavy == "[]"


def test_the_built_in_methods_are_entry_points_of_this_distribution() -> None:
    entry = METHODS.entry("random")
    assert entry.origin == f"distillation-bench {version('distillation-bench')}"
    assert entry.target == "methods.random:Random"
    assert METHODS.get("random") is METHODS.get("random")
    assert METHODS.get("random").name == "random"


@pytest.mark.parametrize("load", [False, True])
def test_a_summary_is_the_docstrings_first_line(load: bool) -> None:
    entry = DATASETS.entry("digits")
    if load:
        entry.load()
    assert entry.summary() == DATASETS.get("digits").__doc__.strip().splitlines()[0]


def test_an_unknown_name_gets_a_near_miss() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown method 'herdin'. Did you mean 'herding'"):
        METHODS.get("herdin")


def test_two_distributions_may_not_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, point("dm", "a.b:C", "one"), point("dm", "d:E", "two"))
    for _ in range(2):  # the error stays
        with pytest.raises(BenchError, match=r"(?s)'dm' is registered twice.*one 1.0.*two 1.0"):
            registry.names()


def test_nor_may_one_distribution_use_a_name_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, point("dm", "a:B", "one"), point("dm", "a:C", "one"))
    with pytest.raises(BenchError, match=r"a:B.*a:C"):
        registry.names()


def test_the_same_entry_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, point("dm", "a:B", "one"), point("dm", "a:B", "one"))
    assert registry.names() == ["dm"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "ModuleNotFoundError: No module named"),
        ("import bench_absent_dependency", "No module named 'bench_absent_dependency'"),
        ("x = 1", "has no attribute 'Mine'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_installed_plugin_that_does_not_import(
    body: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"bench_test_broken_{abs(hash(body))}"
    if body is not None:
        write(tmp_path, body, f"{module}.py")
    monkeypatch.syspath_prepend(tmp_path)
    registry = installed(monkeypatch, point("broken", f"{module}:Mine", "one"))
    assert registry.entry("broken").summary() == ""
    with pytest.raises(BenchError, match=r"method 'broken' from one 1.0 does not import") as caught:
        registry.get("broken")
    assert words in str(caught.value)


def test_a_package_that_breaks_on_import_does_not_break_listings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "bench_test_package", "raise RuntimeError('no')", "__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    registry = installed(monkeypatch, point("broken", "bench_test_package.inner:Mine"))
    assert registry.entry("broken").summary() == ""
    assert registry.entry("broken").origin == "bench_test_package.inner:Mine"


def test_an_installed_class_may_carry_the_decorator_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PLUGIN.format(value=1), "bench_test_both.py")
    monkeypatch.syspath_prepend(tmp_path)
    both = point("test-mine", "bench_test_both:Mine", "one")
    monkeypatch.setitem(vars(METHODS), "_installed", installed(monkeypatch, both)._installed)
    assert METHODS.get("test-mine").value == 1
    assert METHODS.entry("test-mine").origin == "one 1.0"


# --- registered at run time --------------------------------------------------------------------


class First:
    """One."""

    name = "test-taken"


class Second:
    """Two."""

    name = "test-taken"


def test_registering_and_unregistering() -> None:
    assert register("method")(First) is First
    assert METHODS.get("test-taken") is First
    assert METHODS.entry("test-taken").origin == __name__
    assert METHODS.entry("test-taken").summary() == "One."
    METHODS.unregister("test-taken")
    METHODS.unregister("test-taken")
    assert "test-taken" not in METHODS.names()


def test_a_taken_name_is_an_error_that_names_both() -> None:
    register("method")(First)
    register("method")(First)
    with pytest.raises(BenchError, match=r"(?s)'test-taken'.*:First.*:Second"):
        register("method")(Second)
    assert METHODS.get("test-taken") is First


def test_an_installed_name_cannot_be_taken() -> None:
    with pytest.raises(BenchError, match=r"(?s)'random'.*distillation-bench.*from elsewhere"):
        METHODS.register("random", First, "from elsewhere")


def test_an_architecture_is_registered_under_each_members_name() -> None:
    class Family:
        members: dict[str, dict[str, int]] = {"test-net1": {}, "test-net2": {}}

    register("architecture")(Family)
    assert ARCHITECTURES.get("test-net1") is ARCHITECTURES.get("test-net2") is Family


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(BenchError, match=r"unknown plugin kind 'methods'. Did you mean 'method'"):
        register("methods")


# --- plugin files ------------------------------------------------------------------------------


def test_a_file_registers_its_plugin(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    entry = METHODS.entry("test-mine")
    assert entry.load().value == 1
    assert entry.origin == str(path.resolve())
    assert entry.summary() == "My method."


def test_a_summary_has_no_markup(tmp_path: Path) -> None:
    marked = "Draws :math:`N` images with ``seed``, see :py:class:`~a.B`."
    load_plugin_file(write(tmp_path, PLUGIN.format(value=1).replace("My method.", marked)))
    assert METHODS.entry("test-mine").summary() == "Draws N images with seed, see a.B."


@pytest.mark.parametrize("registry", [METHODS, ARCHITECTURES, DATASETS])
def test_summaries_are_for_people(registry: Registry) -> None:
    ours = [name for name in registry.names() if "distillation" in registry.entry(name).origin]
    assert ours
    for name in ours:
        summary = registry.entry(name).summary()
        assert summary.endswith("."), name
        assert not set("`\\") & set(summary), name


def test_a_file_loaded_again_takes_its_own_place(tmp_path: Path) -> None:
    path = write(tmp_path, PLUGIN.format(value=1))
    load_plugin_file(path)
    load_plugin_file(path)
    path.write_text(PLUGIN.format(value=22).replace("Mine", "Renamed"))
    load_plugin_file(path)
    assert METHODS.get("test-mine").value == 22
    assert METHODS.names().count("test-mine") == 1


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    from bench.registry.params import resolve

    first = write(tmp_path / "a", PLUGIN.format(value=1))
    other = PLUGIN.format(value=2).replace("test-mine", "test-other").replace("= int", "= float")
    second = write(tmp_path / "b", other)
    load_plugin_file(first)
    load_plugin_file(second)
    mine, other_class = METHODS.get("test-mine"), METHODS.get("test-other")
    assert (mine.value, other_class.value) == (1, 2)
    assert sys.modules[mine.__module__].Mine is mine
    assert type(resolve(mine.Params, {"n": "4"}, owner="mine").n) is int


def test_two_files_may_not_share_a_plugin_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a", PLUGIN.format(value=1))
    second = write(tmp_path / "b", PLUGIN.format(value=2))
    load_plugin_file(first)
    with pytest.raises(BenchError, match=r"(?s)registered twice.*/a/mine.py.*/b/mine.py"):
        load_plugin_file(second)
    assert METHODS.get("test-mine").value == 1


def test_nor_may_two_classes_of_one_file(tmp_path: Path) -> None:
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
        ("@register('dataset')\nclass Bare: pass", "has no attribute 'name'"),
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


def test_a_relative_path_is_read_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PLUGIN.format(value=9))
    monkeypatch.chdir(tmp_path)
    load_plugin_file(Path("mine.py"))
    values: list[Any] = [METHODS.get("test-mine").value]
    assert values == [9]
