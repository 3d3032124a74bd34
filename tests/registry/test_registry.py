"""Plugins by name: imported only when used, of the right base class, and no name twice."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import pytest
from plugin_text import PLUGIN, write

import bench.plugin
from bench.distillation.method import Method
from bench.networks.architecture import Architecture
from bench.registry.plugin_files import register
from bench.registry.registry import ARCHITECTURES, DATASETS, METHODS, REGISTRIES, Registry
from bench.support.errors import BenchError, UnknownNameError


def installed(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> Registry[type[Any]]:
    monkeypatch.setattr("bench.registry.registry.entry_points", lambda group: points)
    return Registry("method", "bench.methods", METHODS.base)


class Dist:
    """A distribution, as importlib.metadata hands it out."""

    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.0"


def point(name: str, value: str, dist: str | None = None) -> EntryPoint:
    made = EntryPoint(name, value, "bench.methods")
    if dist is not None:
        vars(made)["dist"] = Dist(dist)  # as importlib.metadata says where one comes from
    return made


# --- installed plugins -------------------------------------------------------------------------


def test_names_and_summaries_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from bench.registry.registry import METHODS, ARCHITECTURES, DATASETS, GENERATORS\n"
        "for r in (METHODS, ARCHITECTURES, DATASETS, GENERATORS):\n"
        "    assert r.names() == sorted(r.names()) and r.names()\n"
        "    for name in r.names(): r.entry(name).summary()\n"
        "print(METHODS.entry('dim').summary())\n"
        "print(sorted({'torch', 'numpy', 'methods.dim.method'} & set(sys.modules)))\n"
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


def test_two_distributions_must_not_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, point("dm", "a.b:C", "one"), point("dm", "d:E", "two"))
    for _ in range(2):  # the error stays
        with pytest.raises(BenchError, match=r"(?s)'dm' is registered twice.*one 1.0.*two 1.0"):
            registry.names()


def test_one_distribution_must_not_use_a_name_twice(monkeypatch: pytest.MonkeyPatch) -> None:
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
    registry = installed(monkeypatch, both)
    monkeypatch.setitem(REGISTRIES, "method", registry)
    assert registry.get("test-mine").value == 1
    assert registry.entry("test-mine").origin == "one 1.0"


# --- the base class ----------------------------------------------------------------------------


def test_every_base_class_is_one_that_plugins_can_import() -> None:
    for registry in REGISTRIES.values():
        module, _, attribute = registry.base.partition(":")
        assert getattr(bench.plugin, attribute).__module__ == module


@pytest.mark.parametrize("text", ["class Mine: pass", "class Mine(int): pass", "def Mine(): pass"])
def test_an_installed_plugin_must_extend_the_base_class(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"bench_test_base_{abs(hash(text))}"
    write(tmp_path, text, f"{module}.py")
    monkeypatch.syspath_prepend(tmp_path)
    registry = installed(monkeypatch, point("mine", f"{module}:Mine", "one"))
    words = r"Mine is registered as a method, but is not a subclass of bench\.plugin\.Method"
    with pytest.raises(BenchError, match=words):
        registry.get("mine")


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("method", "Method"), ("architecture", "Architecture"),
        ("generator", "ImageGenerator"), ("dataset", "DatasetSource"),
    ],
)  # fmt: skip
def test_a_registered_plugin_must_extend_the_base_class(kind: str, base: str) -> None:
    class Bare:
        name = "test-bare"
        members = ("test-bare",)

    with pytest.raises(BenchError, match=rf"Bare is registered as an? {kind}.*plugin\.{base}$"):
        register(kind)(Bare)
    with pytest.raises(BenchError, match=r"3 is registered"):
        REGISTRIES[kind].register("test-number", 3, "here")
    assert "test-bare" not in REGISTRIES[kind].names()


def test_a_plugin_needs_a_name() -> None:
    class Nameless(Method):
        pass

    with pytest.raises(BenchError, match=r"method .*Nameless has no name: declare name"):
        register("method")(Nameless)


# --- registered at run time --------------------------------------------------------------------


class First(Method):
    """One."""

    name = "test-taken"


class Second(Method):
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
    class Family(Architecture):
        members: dict[str, dict[str, int]] = {"test-net1": {}, "test-net2": {}}

    register("architecture")(Family)
    assert ARCHITECTURES.get("test-net1") is ARCHITECTURES.get("test-net2") is Family


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(BenchError, match=r"unknown plugin kind 'methods'. Did you mean 'method'"):
        register("methods")


@pytest.mark.parametrize("registry", [METHODS, ARCHITECTURES, DATASETS])
def test_summaries_are_for_people(registry: Registry[type[Any]]) -> None:
    ours = [name for name in registry.names() if "distillation" in registry.entry(name).origin]
    assert ours
    for name in ours:
        summary = registry.entry(name).summary()
        assert summary.endswith("."), name
        assert not set("`\\") & set(summary), name
