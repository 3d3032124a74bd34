"""Whether the least bytes that a cell needs are more than this process can have."""

from __future__ import annotations

from collections.abc import Mapping

from bench.support.failure_reasons import readable_bytes


def describe_lack(parts: Mapping[str, int], limit: int) -> str | None:
    """Return why memory does not suffice; ``None`` if it may.

    Args:
        parts: the least bytes that are needed at one time, by what they are for.
        limit: the bytes that this process can have.
    """
    needed = sum(parts.values())
    if needed <= limit:
        return None
    shares = ", ".join(f"{name} {readable_bytes(size)}" for name, size in parts.items() if size)
    return (
        f"it needs at least {readable_bytes(needed)} of memory ({shares}), and this process can "
        f"have {readable_bytes(limit)}"
    )
