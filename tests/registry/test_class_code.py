"""Classes that stand in no file, as in a notebook: what changes their hash."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from bench.registry.class_code import hash_class

NOTEBOOK = """
import math
from dataclasses import dataclass

SCALE = 2
TABLE = {"a": (1, [2.0]), "b": {"x", "y", "z"}}

def inner(x):
    return x + 1

def helper(x):
    return [inner(each) for each in x]

class Base:
    def setup(self):
        return 0

class Mine(Base):
    '''My method.'''
    name = "mine"

    @dataclass(frozen=True)
    class Params:
        n: int = 3

    @classmethod
    def skip(cls, task):
        return None

    @property
    def twice(self):
        return 2 * self.n

    @staticmethod
    def plain(x=1, *, y=2):
        return x + y

    def step(self, i):
        def late():
            return helper([i]) * SCALE, TABLE, math.pi
        return late()
"""


def hashed(text: str) -> str:
    """Run a notebook's text, as its cells are run, and return the hash of its class."""
    names = {"__name__": "a_notebook"}
    module = ModuleType("a_notebook")  # dataclasses look it up
    sys.modules["a_notebook"] = module
    try:
        exec(text, names)
        return hash_class(names["Mine"])  # type: ignore[arg-type]
    finally:
        del sys.modules["a_notebook"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ('"z"}', '"w"}'),
        ("[2.0]", "[3.0]"),
        ("x + 1", "x + 2"),
        ("x + 1", "x - 1"),
        ("return 0", "return 1"),
        ('"mine"', '"other"'),
        ("n: int = 3", "n: int = 4"),
        ("return None", "return 'never'"),
        ("2 * self.n", "3 * self.n"),
        ("x=1", "x=5"),
        ("y=2", "y=5"),
        ("* SCALE", "+ SCALE"),
        ("math.pi", "math.e"),
        ("class Mine(Base)", "class Mine"),
    ],
)
def test_what_it_does_counts(old: str, new: str) -> None:
    assert old in NOTEBOOK
    assert hashed(NOTEBOOK.replace(old, new)) != hashed(NOTEBOOK)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "import math\nimport json\nOTHER = 5"),
        ("    def step", "\n\n    # a comment\n    def step"),
        ("return helper([i])", "return (helper([i]))"),
    ],
)
def test_what_it_does_not_use_does_not_count(old: str, new: str) -> None:
    assert hashed(NOTEBOOK.replace(old, new)) == hashed(NOTEBOOK)


def test_every_process_computes_the_same_hash() -> None:
    """Also where the order of sets differs."""
    code = (
        f"import sys; sys.path.insert(0, {__file__.rpartition('/')[0]!r})\n"
        "from test_class_code import NOTEBOOK, hashed; print(hashed(NOTEBOOK))"
    )
    hashes = set()
    for seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
        )  # fmt: skip
        hashes.add(ended.stdout.strip())
    assert hashes == {hashed(NOTEBOOK)}
