"""The errors that bench shows to people: one clear message, no traceback, exit code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BenchError(Exception):
    """A mistake in what the user gave; the command line prints its message and exits with 2.

    The message names the thing, the value that came and what is allowed.
    """


class CannotWriteError(BenchError):
    """A file cannot be written. One of the store's ends a run: nothing else could be kept."""


class UnknownNameError(BenchError):
    """A name that nothing is registered under.

    Args:
        kind: what was looked up, in the singular (``"method"``).
        name: the name that was given.
        known: every name that would have been right.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(unknown_message(kind, name, self.known))


def unknown_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Return ``unknown KIND 'NAME'``, a near miss if there is one, and what exists."""
    names = sorted(known)
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    near = [n for n in names if n.lower() in close]
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listing = ", ".join(names) if names else "none"
    return f"unknown {kind} '{name}'.{hint} Known: {listing}."
