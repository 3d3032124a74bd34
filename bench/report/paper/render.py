"""Tables of papers as text, in any format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.report.paper.data import to_csv, to_json
from bench.report.paper.html import to_html
from bench.report.paper.latex import to_latex
from bench.report.paper.markdown import to_markdown
from bench.report.paper.model import PaperTable
from bench.support.errors import UnknownNameError

RENDERERS: dict[str, Callable[[Sequence[PaperTable]], str]] = {
    "md": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "html": to_html,
    "json": to_json,
}


def render_paper(tables: Sequence[PaperTable], format: str) -> str:
    """Return tables as text.

    Args:
        tables: what :func:`bench.report.paper.build.paper_tables` returns.
        format: ``md``, ``latex`` and ``html`` to read, ``csv`` for spreadsheets, ``json`` for
            programs.

    Raises:
        UnknownNameError: for another format.
    """
    if format not in RENDERERS:
        raise UnknownNameError("table format", format, RENDERERS)
    return RENDERERS[format](tables)
