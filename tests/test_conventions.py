"""Tests use public names only: what is private to a module can change without a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENTED = {"os._exit"}  # private by name only
# A GPU in Python takes PyTorch's internals: there is no public way.
ALLOWED = {
    "simulated_gpu.py": {
        "backend_registration._DummyBackendModule",
        "backend_registration._setup_privateuseone_for_python_backend",
        "torch.Tensor._make_wrapper_subclass",
        "made._cdata",
        "leaf._cdata",
    },
    "test_simulated_gpu.py": {"_setup_privateuseone_for_python_backend"},
}


def private_uses(text: str) -> Iterator[str]:
    """Yield every use of a private name that a test file does not define itself.

    These are ``x._name`` (unless ``x`` is ``self``, ``cls`` or a class of the file), the import of
    ``_name``, and a text that names one for ``monkeypatch`` or ``getattr``.
    """
    tree = ast.parse(text)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            if ast.unparse(node.value) not in own | {"self", "cls", "super()"}:
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("attr", "setitem")):
            texts = (a.value for a in node.args if isinstance(a, ast.Constant))
            yield from (str(t) for t in texts if _is_private(str(t).rpartition(".")[2]))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


@pytest.mark.parametrize(
    "text",
    [
        "made._network", "method.pair._draw(8)", "from bench.cli import _COMMANDS",
        "monkeypatch.setattr(module, '_run', run)", "monkeypatch.setattr('bench.cli._run', run)",
        "getattr(executor, '_refs')",
    ],
)  # fmt: skip
def test_private_uses_are_seen(text: str) -> None:
    assert len(list(private_uses(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["self._log", "class Toy: pass\nToy._far", "x.__dict__", "def _own(): pass\n_own()", "_ = x._"],
)
def test_own_names_are_no_private_uses(text: str) -> None:
    assert list(private_uses(text)) == []


def test_tests_use_public_names_only() -> None:
    found = {}
    for path in sorted(TESTS.rglob("*.py")):
        name = path.relative_to(TESTS).as_posix()
        uses = (
            set(private_uses(path.read_text(encoding="utf-8")))
            - DOCUMENTED
            - ALLOWED.get(name, set())
        )
        if uses:
            found[name] = sorted(uses)
    assert found == {}, "rewrite the test, or give what it needs a public name"
