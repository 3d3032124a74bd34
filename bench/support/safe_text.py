"""Escaping of text from files and plugins, so that it is harmless for a terminal."""

from __future__ import annotations

import re
from functools import lru_cache

# Control characters except tab and newline, with which a text can recolour, retitle or rewrite a
# terminal. Marks of writing direction, which make a text look like another. Surrogates, which
# cannot be printed.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@lru_cache(maxsize=4096)  # the texts of a store's records are few, each many times
def printable(text: str) -> str:
    r"""Return the text with every harmful character escaped, as ``\x1b`` or ``\u202e``."""
    if text.isprintable():
        return text
    return _HARMFUL.sub(lambda match: _escaped(ord(match[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
