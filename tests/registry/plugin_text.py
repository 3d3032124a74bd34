"""The text of a plugin file, and a function that writes it."""

from __future__ import annotations

from pathlib import Path

PLUGIN = '''
from dataclasses import dataclass
from bench.plugin import Method, register

Number = int

@register("method")
class Mine(Method):
    """My method.

    More about it.
    """
    name = "test-mine"
    value = {value}

    @dataclass(frozen=True)
    class Params:
        n: "Number" = 3
'''


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
