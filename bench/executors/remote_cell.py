"""What runs in an executor's process: one cell of a run, found by its id."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.grid.order import plan
from bench.grid.reporter import Reporter
from bench.grid.site import RunSpec
from bench.ledger.cell import Cell
from bench.support.errors import BenchError
from bench.support.stopping import Stop

if TYPE_CHECKING:
    from bench.api import Session


def run_cell(
    spec_text: str, cell_id: str, view: Reporter | None = None, stop: Stop | None = None
) -> str:
    """Compute a cell unless the store has it, and return how it ended.

    The grid is expanded once per process and kept, and so is the real set.

    Args:
        spec_text: :meth:`RunSpec.to_json`.
        cell_id: of a cell of that run.
        view: receives the cell's events.
        stop: may end it early.

    Returns:
        ``ok``, ``cached``, ``failed`` or ``busy``, see :class:`bench.grid.reporter.Reporter`.

    Raises:
        BenchError: the run has no such cell here (the data differ, say), or anything is wrong with
            the request or the store.
        Interrupted: ``stop`` said so; a checkpoint is kept.
    """
    session, cells = _opened(spec_text)
    if cell_id not in cells:
        raise BenchError(
            f"this run has no cell {cell_id} here: the code or the data of this process differ "
            "from those of the one that asked"
        )
    heard = _Heard(view or Reporter())
    control = session.runner.control
    control.view, control.stop = heard, stop or Stop()
    try:
        session.runner.in_turn([cells[cell_id]])
    finally:
        damaged = session.runner.store.damaged
        while damaged:
            heard.note(damaged.pop(0))
    return heard.status


class _Heard(Reporter):
    """Passes events on and remembers how the last cell ended."""

    def __init__(self, view: Reporter) -> None:
        self.status = "busy"
        self.start, self.progress, self.note = view.start, view.progress, view.note  # type: ignore[method-assign]
        self._view = view

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        self.status = status
        self._view.finish(cell, status, text, seconds)


@lru_cache(maxsize=4)
def _opened(spec_text: str) -> tuple[Session, dict[str, Cell]]:
    from bench.api import open_session
    from bench.registry.plugin_files import load_plugin_file

    spec = RunSpec.from_json(spec_text)
    for path in spec.plugins:
        load_plugin_file(Path(path))
    session = open_session(spec)
    return session, {cell.id: cell for cell in plan(session.grid)}
