"""How steps run on a GPU and why: noted where it is decided, taken by the next record."""

from __future__ import annotations

_reasons: dict[str, str] = {}


def note_reason(name: str, reason: str) -> None:
    """Note how something runs and why, in place of what was noted of it before.

    Args:
        name: of the step, or of what was decided about it.
        reason: begins with what was chosen.
    """
    _reasons[name] = reason


def failure_reason(error: RuntimeError) -> str:
    """Return the first line of what a library says, as far as a record has room for it."""
    lines = str(error).strip().splitlines()
    return f"{lines[0]:.120}" if lines else type(error).__name__


def take_reasons() -> dict[str, str]:
    """Return what was noted since the last call by name, and forget it."""
    reasons = dict(_reasons)
    _reasons.clear()
    return reasons
