"""Text from files and plugins, made harmless for a terminal."""

from __future__ import annotations

import re

# Control characters but tab and newline: with them a text can recolour, retitle or rewrite a
# terminal. Marks that turn the direction of writing show another text than there is. Surrogates
# cannot be printed at all.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return the text with every harmful character written out, as ``\x1b`` or ``\u202e``."""
    if text.isprintable():
        return text
    return _HARMFUL.sub(lambda match: _written(ord(match[0])), text)


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
