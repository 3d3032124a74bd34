"""What runs in an executor's process: one cell, computed on the site that came with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.grid.compute import Ending, compute
from bench.grid.reporter import Control, Reporter
from bench.grid.site import OpenSite, Site
from bench.ledger.cell import Cell, cell_from_json
from bench.ledger.store import Store
from bench.registry.plugin_files import load_plugin_file
from bench.support.errors import BenchError
from bench.support.glibc_memory import keep_freed_memory
from bench.support.stopping import Interrupted, Stop


def run_cell(
    site_text: str,
    cell_values: Mapping[str, Any],
    reporter: Reporter | None = None,
    stop: Stop | None = None,
) -> Ending:
    """Compute a cell unless the store has it, and return how it ended.

    The site is opened once per process, and so are the real sets.

    Args:
        site_text: :meth:`bench.grid.site.Site.to_json`, with absolute paths.
        cell_values: :func:`bench.ledger.cell.cell_to_json`.
        reporter: receives the cell's events, its ending included.
        stop: may end it early.

    Raises:
        BenchError: the cell, the site or the store cannot be used here.
        Interrupted: ``stop`` asked for it; the checkpoint has what was done.
    """
    site, cell = _open_site(site_text), _read_cell(cell_values)
    ledger = Store(Path(site.site.store))
    ledger.prepare()
    control = Control(reporter or Reporter(), stop or Stop())
    try:
        ending = compute(cell, ledger, site, control)
        if ending.status == "busy":  # the other process may have taken it only to see it must wait
            ending = compute(cell, ledger, site, control)
    except Interrupted as stopped:
        control.reporter.finish(cell, "stopped", stopped.why, 0.0)
        raise
    finally:
        for line in ledger.damaged:
            control.reporter.note(line)
    control.reporter.finish(cell, ending.status, ending.text, ending.seconds)
    return ending


def _read_cell(values: Mapping[str, Any]) -> Cell:
    try:
        return cell_from_json(values)
    except ValueError as error:
        raise BenchError(
            f"this process cannot read the cell ({error}): its code differs from the run's"
        ) from error


@lru_cache(maxsize=4)
def _open_site(site_text: str) -> OpenSite:
    site = Site.from_json(site_text)
    for path in site.plugins:
        load_plugin_file(Path(path))
    opened = OpenSite(site)
    if opened.device.type == "cpu":
        keep_freed_memory()
    return opened
