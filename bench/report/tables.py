"""One report, any format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.aggregate import Row, collect
from bench.report.csv_json import to_csv, to_json
from bench.report.failures import failure_notes
from bench.report.latex import latex
from bench.report.published.compare import compare, comparison_sections
from bench.report.published.read import Published
from bench.report.result_tables import result_sections
from bench.support.document import Section
from bench.support.errors import UnknownNameError
from bench.support.markdown import markdown

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = ("md", "csv", "latex", "json")


def render(
    frame: DataFrame,
    failures: DataFrame,
    *,
    format: str,
    published: Sequence[Published] | None = None,
) -> str:
    """Return the report as text.

    Args:
        frame: one row per evaluation cell, as ``bench.ledger.frames.load_frame`` returns it.
        failures: one row per cell that has no result (``load_failures``).
        format: ``md`` and ``latex`` to read, ``csv`` and ``json`` to compute with.
        published: the papers' numbers to set beside ours; ``None`` leaves the comparison out.

    Raises:
        UnknownNameError: for another format.
    """
    if format not in FORMATS:
        raise UnknownNameError("table format", format, FORMATS)
    rows = collect(frame)
    if format in ("csv", "json"):
        write = to_csv if format == "csv" else to_json
        return write(rows, failures, None if published is None else compare(rows, published))
    sections = report_sections(rows, failures, published)
    return markdown(sections) if format == "md" else latex(sections)


def report_sections(
    rows: Sequence[Row], failures: DataFrame, published: Sequence[Published] | None
) -> list[Section]:
    """Return every section of a report for people: results, comparison, what is missing."""
    sections = result_sections(rows)
    if published is not None:
        sections += comparison_sections(compare(rows, published))
    missing = failure_notes(failures)
    if missing:
        sections.append(Section("Not in the tables", notes=missing))
    return sections
