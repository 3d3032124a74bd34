"""State that imports change is told apart from what the code around them changes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.support.import_effects import watching_imports

STATE = {"value": 0}
READ = {"value": lambda: STATE["value"]}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return a function that imports, once, a module which adds 1 to the state."""
    monkeypatch.setitem(STATE, "value", 0)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "state_of_the_test", STATE, raising=False)
    (tmp_path / "changing.py").write_text("import sys\nsys.state_of_the_test['value'] += 1\n")
    (tmp_path / "outer.py").write_text("import changing\n")
    for name in ("changing", "outer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return lambda: importlib.import_module("outer")


def test_what_an_import_changes_is_expected(library) -> None:
    with watching_imports(READ) as imports:
        library()
        assert STATE["value"] == 1
        assert not imports.changed_otherwise("value")


def test_what_other_code_changes_is_not(library) -> None:
    with watching_imports(READ) as imports:
        STATE["value"] = 7
        assert imports.changed_otherwise("value")


@pytest.mark.parametrize("first", [True, False])
def test_an_import_hides_no_other_change(library, first: bool) -> None:
    with watching_imports(READ) as imports:
        if first:
            STATE["value"] = 7
        library()
        if not first:
            STATE["value"] = 7
        assert imports.changed_otherwise("value")


def test_a_failing_import_ends_as_ever(library, tmp_path: Path) -> None:
    with watching_imports(READ) as imports:
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            importlib.import_module("no_such_module")
        library()
        assert not imports.changed_otherwise("value")


def test_imports_after_the_block_are_not_watched(library) -> None:
    with watching_imports(READ) as imports:
        pass
    library()
    assert imports.changed_otherwise("value"), "it has not seen the import"
