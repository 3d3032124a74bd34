"""One cell in a process of an executor: computed here, its events forwarded to the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from socket import gethostname
from typing import Any

from bench.grid.compute import Ending, compute
from bench.grid.plugin_sources import has_sources
from bench.grid.reporter import Control, Reporter
from bench.grid.site import OpenSite, Site
from bench.ledger.cell import Cell
from bench.ledger.cell_json import cell_from_json
from bench.ledger.store import Store
from bench.support.errors import BenchError
from bench.support.glibc_memory import keep_freed_memory
from bench.support.stopping import Stop

# Seconds between two reports of progress.
_REPORT_SECONDS = 0.3


def run_cell(site: Site, cell_values: Mapping[str, Any], reporter: Reporter, stop: Stop) -> Ending:
    """Compute a cell unless the store has its result, and return how it ended.

    A process opens a site once, and each real set once.

    Args:
        site: the site of the run, with absolute paths.
        cell_values: :func:`bench.ledger.cell_json.cell_to_json`, which says whether the code of
            this process knows the same cells as that of the run.
        reporter: receives the cell's events, but not its ending, which is returned.
        stop: can end the computation early.

    Raises:
        BenchError: the cell, the site or the store cannot be used by this process.
        Interrupted: ``stop`` was requested; the checkpoint has what was done.
    """
    opened = _open_site(site)
    try:
        cell = cell_from_json(cell_values)
    except ValueError as error:
        raise BenchError(
            f"this process cannot read the cell ({error}): its code differs from the run's"
        ) from error
    if not has_sources(cell):  # a process that outlives its run has the plugins of that run
        _open_site.cache_clear()
        opened = _open_site(site)
    ledger = Store(Path(site.store))
    if not ledger.folder(cell.id).parent.is_dir():
        raise BenchError(
            f"{gethostname()} cannot see the store '{site.store}': it must be in a folder that all "
            "machines share, under the same path"
        )
    ledger.prepare()
    try:
        return compute(cell, ledger, opened, Control(reporter, stop))
    finally:
        for line in ledger.damaged:
            reporter.note(line)


class RemoteReporter(Reporter):
    """Forwards events to the process of the run.

    Args:
        forward: sends an event: the name of a method of the reporter, and its arguments.
    """

    def __init__(self, forward: Callable[..., object]) -> None:
        self._forward, self._last = forward, 0.0

    def start(self, cell: Cell) -> None:
        """Forward the event."""
        self._forward("start", cell)

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """Forward the event if it is the last one, or the one before was long enough ago."""
        now = time.monotonic()
        if done == total or now - self._last > _REPORT_SECONDS:
            self._last = now
            self._forward("progress", cell, done, total, unit, dict(scalars))

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """Forward the event."""
        self._forward("finish", cell, status, text, seconds)

    def note(self, text: str) -> None:
        """Forward the event."""
        self._forward("note", text)


@lru_cache(maxsize=4)
def _open_site(site: Site) -> OpenSite:
    site.load_plugins()
    opened = OpenSite(site)
    if opened.device.type == "cpu":
        keep_freed_memory()
    return opened
