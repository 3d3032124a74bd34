"""A whole report in any format: results, published numbers beside them, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from bench.ledger.rows import Evaluation, Failure
from bench.report.aggregate import collect
from bench.report.at_budget import Budget, budget_sections, choose, left_out
from bench.report.csv_json import Contents, to_csv, to_json
from bench.report.estimates import Spread
from bench.report.latex import latex
from bench.report.number_formats import ipc_name, ipc_order, listing, plural
from bench.report.published.compare import compare, comparison_sections
from bench.report.published.read import Published
from bench.report.result_tables import result_sections
from bench.report.row import Row
from bench.support.document import Section
from bench.support.errors import UnknownNameError
from bench.support.markdown import markdown

FORMATS = ("md", "csv", "latex", "json")


def render(
    evaluations: Sequence[Evaluation],
    failures: Sequence[Failure],
    *,
    format: str,
    spread: Spread = "sd",
    published: Sequence[Published] | None = None,
    at: Budget | None = None,
) -> str:
    """Return a report as text.

    Args:
        evaluations: the successful evaluations (:func:`bench.ledger.record_rows.load_rows`).
        failures: the cells that have no result.
        format: ``md`` and ``latex`` to read, ``csv`` and ``json`` to compute with.
        spread: what is printed after the ±; ``csv`` and ``json`` hold every kind.
        published: the papers' numbers to set beside ours; ``None`` leaves the comparison out.
        at: keep of each method the result at this budget; ``None`` keeps all.

    Raises:
        UnknownNameError: for another format.
    """
    if format not in FORMATS:
        raise UnknownNameError("table format", format, FORMATS)
    rows = collect(evaluations, spread)
    if format in ("csv", "json"):
        outside = None
        if at is not None:
            choice = choose(rows, at)
            rows, outside = choice.rows, left_out(choice, at)
        write = to_csv if format == "csv" else to_json
        pairs = None if published is None else compare(rows, published)
        return write(Contents(rows, failures, pairs, outside))
    sections = report_sections(rows, failures, published, at)
    return markdown(sections) if format == "md" else latex(sections)


def report_sections(
    rows: Sequence[Row],
    failures: Sequence[Failure],
    published: Sequence[Published] | None,
    at: Budget | None = None,
) -> list[Section]:
    """Return every section of a report for people: results, comparison, what is missing."""
    if at is None:
        sections = result_sections(rows)
    else:
        choice = choose(rows, at)
        rows, sections = choice.rows, budget_sections(choice, at)
    if published is not None:
        sections += comparison_sections(compare(rows, published))
    missing = failure_notes(failures)
    if missing:
        sections.append(Section("Not in the tables", notes=missing))
    return sections


def failure_notes(failures: Sequence[Failure]) -> list[str]:
    """Return a sentence per dataset, method and reason that names all cells it is about."""
    groups: dict[tuple[str, str, str, str, str], list[Failure]] = {}
    for one in failures:
        reason = one.reason or "no reason given"
        key = (one.dataset, one.method, one.profile, one.status, reason)
        groups.setdefault(key, []).append(one)
    return [_sentence(members, key[-1]) for key, members in sorted(groups.items())]


def _sentence(members: Sequence[Failure], reason: str) -> str:
    first = members[0]
    ipcs = sorted({one.ipc for one in members}, key=ipc_order)
    parts = [
        f"IPC {listing(ipc_name(ipc) for ipc in ipcs)}",
        listing(sorted({one.mode for one in members if one.mode})),
        listing(sorted({one.eval_arch for one in members if one.eval_arch})),
        f"profile {first.profile}",
        f"seed {listing(sorted({one.seed for one in members}))}",
    ]
    where = "; ".join(part for part in parts if part)
    cells = plural(len(members), "cell")
    return (
        f"{first.method} on {first.dataset} ({where}): {cells} {first.status}: "
        f"{reason.rstrip('.')}."
    )
