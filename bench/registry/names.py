"""The names that a plugin can have: those that users can ask for on a command line."""

from __future__ import annotations

import re

from bench.support.errors import BenchError

# Commas separate names, a dot a method from its parameter, a colon a family from its member, and
# parentheses hold an architecture's settings.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_RESERVED = {"method": ("all",)}


def check_plugin_name(kind: str, name: object) -> None:
    """Raise :class:`BenchError` unless users can ask for a plugin by this name.

    Args:
        kind: of the plugin, for the message and for names that mean something else.
        name: the name.
    """
    if not isinstance(name, str):
        raise BenchError(f"the name of a {kind} must be text, not {name!r:.80}")
    if not _NAME.fullmatch(name):
        raise BenchError(
            f"{kind} name '{name}' cannot be asked for: letters, digits, '-' and '_' are allowed, "
            "a letter or digit first"
        )
    if name in _RESERVED.get(kind, ()):
        raise BenchError(f"{kind} name '{name}' means every {kind}: choose another name")
