"""Numbers, sizes, times and counts as people read them."""

from __future__ import annotations

from collections.abc import Iterable

# Superscript letters that Unicode has; there is no q.
MARKS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ"
_BYTE_UNITS = ("kB", "MB", "GB", "TB")


def percent(mean: float, std: float | None) -> str:
    """Return ``48.3 ± 0.4``, or ``48.3`` where no spread is known."""
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def as_printed(mean: float, std: float | None) -> str:
    """Return a published number with the decimals that it was printed with, at least one."""
    values = [mean] if std is None else [mean, std]
    return " ± ".join(f"{v:.1f}" if round(v, 1) == v else f"{v:g}" for v in values)


def signed(difference: float) -> str:
    """Return percentage points with their sign, ``+1.2`` or ``−0.3``."""
    text = f"{abs(difference):.1f}"
    if float(text) == 0:
        return "0.0"
    return f"{'+' if difference > 0 else '−'}{text}"


def probability(p: float) -> str:
    """Return a p value: ``0.013``, or ``< 0.001``."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def size(count: int) -> str:
    """Return bytes in decimal units: ``784 B``, ``30.7 kB``, ``14.2 MB``."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in _BYTE_UNITS:
        value /= 1000
        if round(value, 1) < 1000 or unit == _BYTE_UNITS[-1]:
            break
    return f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time in a unit that suits it: ``0.02 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if round(seconds, 1) < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(value: float) -> str:
    """Return a count with thousands apart: ``12,000``."""
    return f"{value:,.0f}"


def bounded(mean: float, low: float | None, high: float | None, decimals: int) -> str:
    """Return ``1.5 (1.0 to 2.0)``, or the mean alone where it has no interval."""
    if low is None or high is None:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def ipc_name(ipc: int | None) -> str:
    """Return an IPC as a row shows it; ``all`` where the set is whole."""
    return "all" if ipc is None else str(ipc)


def ipc_order(ipc: int | None) -> float:
    """Return the sort key of an IPC: the whole set comes last."""
    return float("inf") if ipc is None else ipc


def plural(number: int, noun: str) -> str:
    """Return ``1 net`` or ``5 nets``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(values: Iterable[object]) -> str:
    """Return the distinct values, comma-separated, in the order of their first appearance."""
    return ", ".join(dict.fromkeys(str(v) for v in values))
