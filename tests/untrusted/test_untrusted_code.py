"""Nothing in the packages can unpickle, or evaluate a text: read from their own sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    p for name in ("bench", "methods", "architectures") for p in (ROOT / name).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
CALLS = {
    "eval", "exec", "compile", "torch.load", "np.load", "numpy.load", "torch.hub.load",
    "os.system", "os.popen", "pd.read_pickle", "tarfile.open", "shutil.unpack_archive",
}  # fmt: skip
OPTIONS = {"allow_pickle", "weights_only", "shell"}
# Distilled sets of other projects are .pt files: PyTorch reads tensors and numbers from them, by
# an unpickler of its own that calls nothing else.
ALLOWED = {
    "bench/exchange/tensor_files.py": {
        "pickle",  # for the name of its exception
        "torch.load",
        "weights_only=True",
    },
    "methods/gan/standalone.py": {"torch.load", "weights_only=True"},
}


def _found(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (n.name for n in node.names if n.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS:
            yield ast.unparse(node.func)
        elif isinstance(node, ast.keyword) and node.arg in OPTIONS:
            value = ast.unparse(node.value)
            yield from () if value == "False" else (f"{node.arg}={value}",)


def test_the_sources_are_found() -> None:
    assert len(SOURCES) > 150


@pytest.mark.parametrize("package", ["bench", "methods", "architectures"])
def test_nothing_unpickles_or_evaluates(package: str) -> None:
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] == package:
            found = set(_found(ast.parse(path.read_text(encoding="utf-8"))))
            found -= ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
            assert not found, f"{path}: {sorted(found)}"


def test_links_are_checked_in_one_module() -> None:
    checks = {"islink", "is_symlink", "O_NOFOLLOW"}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in checks
    }
    assert found == {"bench/support/untrusted.py"}


@pytest.mark.parametrize("name", ALLOWED)
def test_torch_loads_nothing_but_tensors_and_numbers(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loads = [node for node in calls if ast.unparse(node.func) == "torch.load"]
    assert loads
    for load in loads:
        assert {ast.unparse(k.value) for k in load.keywords if k.arg == "weights_only"} == {"True"}
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("pickle.")} <= {"pickle.UnpicklingError"}


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from torch import load\nimport dill as d", "torch.load(p)", "eval(x)",
     "np.load(p, allow_pickle=True)", "torch.save(x, weights_only=maybe)", "run(c, shell=True)"],
)  # fmt: skip
def test_the_search_finds_what_it_should(text: str) -> None:
    assert list(_found(ast.parse(text)))
