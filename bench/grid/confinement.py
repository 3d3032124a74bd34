"""The confinement of plugins: what they change beside their work is restored and named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.grid.reporter import Reporter
from bench.grid.site import OpenSite
from bench.ledger.cell import Cell
from bench.support.failure_reasons import CellFailedError
from bench.support.process_state import kept


class Confinement:
    """Keeps the plugins of a cell from changing anything that another cell could notice.

    Args:
        cell: the cell; one that is computed by bench itself needs no confinement.
        site: has the real sets, which all cells share.
        reporter: receives a note of what was changed.
    """

    def __init__(self, cell: Cell, site: OpenSite, reporter: Reporter) -> None:
        self._cell, self._site, self._reporter = cell, site, reporter
        self._changes: list[str] = []

    @contextmanager
    def active(self) -> Iterator[None]:
        """Restore after the block what a plugin has changed in it.

        Raises:
            CellFailedError: it wrote into the real set.
        """
        if not self._cell.sources:  # of bench itself
            yield
            return
        self._site.seal()
        try:
            with kept() as self._changes:
                yield
        finally:
            written = self._site.discard_changed()
            if self._changes:
                self._reporter.note(f"{self._cell.title}: {self._restored()}")
            if written:
                raise CellFailedError(
                    f"its plugin wrote into {' and '.join(written)}, which other methods share: "
                    "work on a copy (tensor.clone()); the data was opened again"
                )

    def warnings(self, own: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the warnings of a result, with what its plugin changed beside its work."""
        return (*(own or ()), self._restored()) if self._changes else own

    def _restored(self) -> str:
        return f"its plugin changed {', '.join(self._changes)}; restored"
