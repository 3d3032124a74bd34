"""Fonts for texts in any script, and escapes for what no font on this machine can draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

from bench.ledger.rows import Setting
from bench.report.row import Row

# Comes with matplotlib, so that plots look alike on every machine.
MAIN_FAMILY = "DejaVu Sans"
# Has a glyph for every character: a box with a number in it.
_PLACEHOLDERS = "Last Resort"
_TEXTS = tuple(f.name for f in fields(Setting) if f.type == "str")


def families(texts: Iterable[str]) -> list[str]:
    """Return the font families that draw some texts, the main one first."""
    letters = sorted(set().union(*texts))
    others = filter(None, map(_family_with, letters))
    return list(dict.fromkeys([MAIN_FAMILY, *others]))


def drawable(text: str) -> str:
    r"""Return a text with escapes, ``\u732b``, for the characters that no font here can draw."""
    return "".join(
        letter if _family_with(letter) else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def drawable_rows(rows: Sequence[Row]) -> list[Row]:
    """Return results whose names, notes and labels can be drawn."""
    return [_drawable_row(row) for row in rows]


def _drawable_row(row: Row) -> Row:
    texts: dict[str, Any] = {name: drawable(getattr(row, name)) for name in _TEXTS}
    return replace(row, style=replace(row.style, label=drawable(row.style.label)), **texts)


def texts_of(rows: Iterable[Row]) -> set[str]:
    """Return every text of some results that a plot may show."""
    return {
        text
        for row in rows
        for text in (row.style.label, row.varies, *(getattr(row, name) for name in _TEXTS))
    }


@cache
def _family_with(letter: str) -> str | None:
    """Return the first family that has a glyph for a character, the main one if it has."""
    if letter.isascii():
        return MAIN_FAMILY
    return next((family for family, glyphs in _fonts() if ord(letter) in glyphs), None)


@cache
def _fonts() -> tuple[tuple[str, frozenset[int]], ...]:
    """Return the upright fonts of this machine with their glyphs, the main family first."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    fonts: dict[str, frozenset[int]] = {}
    entries = [e for e in fontManager.ttflist if e.style == "normal" and e.weight == 400]
    for entry in sorted(entries, key=lambda e: (e.name != MAIN_FAMILY, e.name, e.fname)):
        if entry.name in fonts or entry.name.startswith(_PLACEHOLDERS):
            continue
        try:
            font = FT2Font(entry.fname)
            if font.scalable:  # fonts of coloured bitmaps cannot be drawn
                fonts[entry.name] = frozenset(font.get_charmap())
        except (OSError, RuntimeError):  # removed since matplotlib listed it, or damaged
            continue
    return tuple(fonts.items())
