"""Lists as a user writes them: names with commas between."""

from __future__ import annotations


def split_commas(text: str) -> list[str]:
    """Return the parts of ``a,b,c``, without spaces around them and without empty ones.

    Commas inside parentheses belong to a name: ``convnet3(width=64,norm=none)`` is one part.
    """
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]
