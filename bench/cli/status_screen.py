"""The screen of ``bench status``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from bench.grid.clock import format_seconds
from bench.ledger.cell_state import STATES
from bench.ledger.remaining import Remaining, seconds_since
from bench.ledger.status import CellStatus, Status
from bench.report.number_formats import plural
from bench.support.safe_text import printable
from bench.support.screen_table import ScreenColumn, ScreenTable

_STYLES = {"done": "green", "running": "cyan", "failed": "red", "interrupted": "magenta",
           "skipped": "yellow", "unusable": "red"}  # fmt: skip
# How the reason begins of a cell that failed because another one did.
_DEPENDS_ON_A_FAILURE = "it needs '"
# Seconds between two looks of `bench status --watch`.
WATCH_SECONDS = 2.0
# Lines of each part, unless everything is asked for.
_SHOWN = 10


def print_status(status: Status, console: Console, *, everything: bool) -> None:
    """Print a store's status.

    Args:
        status: what to print.
        console: where to; columns and lines fit its width.
        everything: whether every cell and every finished request gets its line.
    """
    most = None if everything else _SHOWN
    total = sum(sum(states.values()) for states in status.counts.values())
    console.print(_text(f"{status.root}: {plural(total, 'cell')}", "bold"))
    if status.counts:
        console.print(_counts(status))
    running, interrupted = status.of("running"), status.of("interrupted")
    _part(console, "Running", map(_running, running), len(running), most)
    for name in ("failed", "skipped"):
        lines = list(_by_reason(status.of(name), most, _STYLES[name]))
        _part(console, name.capitalize(), lines, len(lines), None)
    _part(console, "Interrupted", map(_interrupted, interrupted), len(interrupted), most)
    _print_requests(status, console, everything)


def watch_status(
    read: Callable[[], Status],
    console: Console,
    *,
    everything: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print a store's status again and again, until its requests are finished and nothing runs.

    Ctrl-C ends it, too. Cells that failed or were interrupted are left, and a store that holds
    nothing yet is waited for, so that it goes on.

    Args:
        read: returns the present status.
        console: a terminal.
        everything: as of :func:`print_status`.
        pause: waits for a number of seconds.
    """
    while True:
        status = read()
        console.clear()
        print_status(status, console, everything=everything)
        for line in status.notes:
            console.print(_text(line, "dim"))
        is_empty = not status.counts and not status.requests
        is_finished = all(each.is_finished for each in status.requests)
        if is_finished and not is_empty and not status.of("running"):
            return
        pause(WATCH_SECONDS)


def wait_for_store(
    root: Path, console: Console, *, pause: Callable[[float], None] = time.sleep
) -> None:
    """Wait until a run has made a store, and say so if there is none yet.

    Args:
        root: the folder of the store; a file cannot become one, and is not waited for.
        console: a terminal.
        pause: waits for a number of seconds.
    """
    if not _is_made(root):
        console.print(_text(f"waiting for a run to make the store '{root}'; Ctrl-C ends this"))
    while not _is_made(root):
        pause(WATCH_SECONDS)


def _is_made(root: Path) -> bool:
    return (root / "cells").is_dir() or root.is_file()


def _counts(status: Status) -> ScreenTable:
    used = [s for s in STATES if any(counts.get(s) for counts in status.counts.values())]
    columns = [ScreenColumn(name, essential=True) for name in ("dataset", "method")]
    columns += [ScreenColumn(name, right=True, style=_STYLES.get(name, "")) for name in used]
    rows = [
        [_text(dataset), _text(method), *_numbers(counts, used)]
        for (dataset, method), counts in status.counts.items()
    ]
    if len(status.counts) > 1:
        sums = {s: sum(counts.get(s, 0) for counts in status.counts.values()) for s in used}
        rows.append([_text(""), _text("all", "bold"), *_numbers(sums, used)])
    return ScreenTable(columns, rows)


def _numbers(counts: Mapping[str, int], states: Sequence[str]) -> list[Text]:
    return [_text(f"{counts[state]:,}" if counts.get(state) else "") for state in states]


def _part(
    console: Console, title: str, lines: Iterator[Text] | Sequence[Text], count: int,
    most: int | None,
) -> None:  # fmt: skip
    if not count:
        return
    console.print(_text(f"\n{title}", "bold"))
    for line in islice(lines, most):
        console.print(_indented(line, 2))
    if most is not None and count > most:
        console.print(_indented(_text(f"and {count - most} more; --all names them", "dim"), 2))


def _running(cell: CellStatus) -> Text:
    line = _text(cell.title, _STYLES["running"])
    if cell.holder is not None:
        since = seconds_since(cell.holder.since)
        line.append(printable(f" on {cell.holder.host}, process {cell.holder.pid}"))
        line.append(f", for {format_seconds(since)}" if since is not None else "")
        line.append(f", seen {format_seconds(cell.holder.seconds_since_beat)} ago", "dim")
    return line.append(_checkpoint(cell), "dim")


def _interrupted(cell: CellStatus) -> Text:
    line = _text(cell.title, _STYLES["interrupted"])
    return line.append(_checkpoint(cell) or "; no checkpoint, it starts from the beginning", "dim")


def _checkpoint(cell: CellStatus) -> str:
    saved = cell.checkpoint
    if saved is None:
        return ""
    of = f" of {saved.total:,}" if saved.total is not None else ""
    step = f" of step {saved.steps:,}{of}" if saved.steps is not None else ""
    spent = f" after {format_seconds(saved.seconds)} of work" if saved.seconds is not None else ""
    return f"; checkpoint{step}{spent}, {format_seconds(saved.age)} old"


def _by_reason(cells: Sequence[CellStatus], most: int | None, style: str) -> Iterator[Text]:
    """Yield each reason why cells failed or were skipped, and under it those cells."""
    own = [cell for cell in cells if not cell.reason.startswith(_DEPENDS_ON_A_FAILURE)]
    ranked = Counter(cell.reason for cell in own or cells).most_common()
    for reason, count in islice(ranked, most):
        yield _text(f"{plural(count, 'cell')}: {reason}", style)
        named = [cell for cell in cells if cell.reason == reason]
        shown = named if most is None else named[:3]
        for cell in shown:
            yield _text(f"  {cell.title} ({cell.id})", "dim")
        if count > len(shown):
            yield _text(f"  and {count - len(shown)} more", "dim")
    if most is not None and len(ranked) > most:
        yield _text(f"and {len(ranked) - most} more reasons; --all names them", "dim")
    if own and len(own) < len(cells):
        yield _text(f"{plural(len(cells) - len(own), 'cell')}: depending on one of these", "dim")


def _print_requests(status: Status, console: Console, everything: bool) -> None:
    if not status.requests:
        console.print(_text("\nThere are no requests here: what is left is not known", "dim"))
        return
    shown = [each for each in status.requests if everything or not each.is_finished]
    console.print(_text("\nRequests", "bold"))
    running = len(status.of("running"))
    for each in shown:
        ago = seconds_since(each.request.asked)
        head = _text(f"{each.request.id}  {each.request.command}")
        head.append("" if ago is None else f"  ({format_seconds(ago)} ago)", "dim")
        console.print(_indented(head, 2))
        console.print(_indented(_remaining(each, running), 4))
    finished = len(status.requests) - len(shown)
    if finished:
        console.print(_indented(_text(f"{plural(finished, 'request')} finished", "green"), 2))
    if any(r.counts["failed"] or r.counts["interrupted"] for r in shown):
        console.print(_indented(_text("`bench retry` goes on with what is not done", "dim"), 2))


def _remaining(each: Remaining, running: int) -> Text:
    counts, total = each.counts, len(each.request.cells)
    line = _text(f"{counts['done']:,} of {plural(total, 'cell')} done")
    for name in STATES[1:]:
        if counts[name]:
            line.append(f", {counts[name]:,} {name}", _STYLES.get(name, ""))
    if not each.unfinished:
        return line
    if each.seconds is None:
        return line.append("; hours left unknown: nothing was measured")
    line.append(f"; about {format_seconds(each.seconds)} of computing left", "bold")
    if running > 1:
        line.append(f", {format_seconds(each.seconds / running)} with {running} at a time")
    if each.unknown:
        line.append(f", and {plural(each.unknown, 'cell')} of unknown length")
    return line


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _indented(line: RenderableType, by: int) -> Padding:
    return Padding(line, (0, 0, 0, by))
