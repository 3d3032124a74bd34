"""Errors that bench shows to users as one clear message, without a traceback, exit code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BenchError(Exception):
    """A mistake in the user's input; the command line prints its message and exits with code 2.

    The message names the option or file, its value, and what is allowed.
    """


class CannotWriteError(BenchError):
    """A file cannot be written. In the store it ends a run, because no result could be saved."""


class UnknownNameError(BenchError):
    """A name under which nothing is registered.

    Args:
        kind: the kind that was looked up, in the singular (``"method"``).
        name: the unknown name.
        known: every known name.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(unknown_message(kind, name, self.known))

    @property
    def similar(self) -> str | None:
        """The known name that may have been meant; ``None`` if none is close."""
        return most_similar(self.name, self.known)


def most_similar(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that a user may have meant; ``None`` if none is close."""
    names = sorted(known)
    close = get_close_matches(str(name).lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    return next((n for n in names if n.lower() in close), None)


def unknown_message(kind: str, name: object, known: Iterable[str]) -> str:
    """Return ``unknown KIND 'NAME'.``, the most similar known name if any, and all known names."""
    names = sorted(known)
    near = most_similar(name, names)
    hint = f" Did you mean '{near}'?" if near is not None else ""
    listing = ", ".join(names) if names else "none"
    return f"unknown {kind} '{name}'.{hint} Known: {listing}."
