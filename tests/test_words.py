"""Plain English: words and phrases that no source, test or page of documentation uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "methods", "architectures", "tests")
# A regular expression, and what to write instead. A space stands for any white space, the marks of
# a comment and an underscore, so that phrases are found across lines and in names.
AVOIDED = {
    "whoever": ("whoever", "the noun: a process, the caller"),
    "for ever": ("for ever(?!y)", "indefinitely, without a limit"),
    "rests on": ('(?<!")rest(s|ed|ing)? on', "depends on"),  # "rests_on" is a name in files
    "Do so.": (r"do so\.", "the verb itself"),
    "may not": ("may not", "must not, cannot, or might not"),
    "nobody": ("nobody", "no process, no one, or the passive"),
    "by and by": ("by and by", "eventually, or nothing"),
    "judge": ("(?<![a-z])judg(e|es|ed|ing|ements?)(?![a-z])", "evaluate, evaluation"),
}


def _files() -> list[Path]:
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted({*sources, *pages} - {Path(__file__)})


def _places(phrase: str) -> list[str]:
    pattern = re.compile(phrase.replace(" ", r"[\s#_]+"), re.IGNORECASE)
    places = []
    for path in _files():
        text = path.read_text(encoding="utf-8")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            places.append(f"{path.relative_to(ROOT)}:{line}")
    return places


@pytest.mark.parametrize("name", AVOIDED)
def test_plain_english(name: str) -> None:
    phrase, instead = AVOIDED[name]
    places = _places(phrase)
    assert not places, f"'{name}': write {instead}:\n" + "\n".join(places)
