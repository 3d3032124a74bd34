"""The files that a run leaves in its store: ``report/NAME/``, a folder for each request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.ledger.store import Store
from bench.report.page.content import make_page
from bench.report.page.render import write_page
from bench.report.paper.latex import document
from bench.report.paper.render import RENDERERS, render_paper
from bench.report.paper.texts import references
from bench.report.plots import PLOTS
from bench.report.published.sources import bibliography
from bench.report.tables import render
from bench.support.atomic_files import replacing, writing
from bench.support.untrusted import refuse_link

if TYPE_CHECKING:
    from bench.ledger.rows import Rows
    from bench.report.paper.model import PaperTable

_SUFFIXES = {"latex": "tex"}


def report_folder(store: Path, name: str) -> Path:
    """Return the folder for the files of a request.

    Args:
        store: the store's folder.
        name: the id of the request, or the name of a table.

    Raises:
        BenchError: it is a link, which could lead out of the store.
    """
    folder = store / "report" / name
    refuse_link(folder, "a store holds its folders itself")
    return folder


def write_outputs(rows: Rows, folder: Path) -> list[Path]:
    """Write the full table (Markdown, CSV) and the accuracy and cost plots of results."""
    with writing(folder):
        written = [
            _write(folder / f"table.{name}", render(*rows, format=name)) for name in ("md", "csv")
        ]
        if rows.evaluations:
            written += PLOTS["accuracy"](rows.evaluations, folder)
            written += PLOTS["cost"](rows.evaluations, folder)
    return written


def write_paper(tables: Sequence[PaperTable], folder: Path) -> list[Path]:
    """Write tables of papers in every format, and a LaTeX document that shows them.

    ``paper.tex`` is to be included in a paper; ``document.tex`` compiles as it is, and cites
    ``sources.bib``.
    """
    with writing(folder):
        written = [
            _write(folder / f"paper.{_SUFFIXES.get(name, name)}", render_paper(tables, name))
            for name in RENDERERS
        ]
        sources = references(tables)
        if sources:
            written.append(_write(folder / "sources.bib", bibliography(sources)))
        shown = document(tables, "sources" if sources else "")
        written.append(_write(folder / "document.tex", shown))
    return written


def write_report_page(rows: Rows, store: Path, title: str, folder: Path) -> list[Path]:
    """Write the report page of results (``bench report``); nothing if there are none."""
    if not rows.evaluations:
        return []
    with writing(folder):
        return [write_page(make_page(rows, Store(store), title), folder)]


def _write(path: Path, text: str) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
