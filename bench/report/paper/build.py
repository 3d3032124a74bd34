"""Results as tables in the form of papers: which table each result belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bench.ledger.rows import Failure
from bench.report.paper.layout import Layout
from bench.report.paper.model import PaperTable
from bench.report.paper.published import PublishedNumbers
from bench.report.paper.table import paper_table
from bench.report.row import Row


def paper_tables(
    rows: Sequence[Row],
    failures: Sequence[Failure] = (),
    layout: Layout | None = None,
    published: PublishedNumbers | None = None,
) -> list[PaperTable]:
    """Return results as tables of papers.

    Results of different selections or precisions stand in different tables; those of different
    protocols and architectures do too, unless the layout joins them.

    Args:
        rows: the results (:func:`bench.report.aggregate.collect`).
        failures: the cells that have no result.
        layout: how the tables are arranged; by default methods as lines, and datasets and IPC as
            columns.
        published: the numbers of papers to set beside ours; ``None`` leaves them out.
    """
    layout = layout or Layout()
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_table_key(row, layout), []).append(row)
    if not groups and failures:
        groups[("",) * 4] = []
    if layout.complete and not layout.joins_archs:  # an architecture of which nothing is stored yet
        archs = {key[0] for key in groups}
        others = dict.fromkeys(one.eval_arch for one in failures if one.eval_arch not in archs)
        groups |= {(arch, "", "", ""): [] for arch in others if arch and "" not in archs}
    tables = []
    for key, members in groups.items():
        own = [one for one in failures if _fits(one, key)]
        name = layout.name if len(groups) == 1 else _slug(layout.name, *filter(None, key))
        tables.append(paper_table(members, own, replace(layout, name=name), published))
    return [table.transpose() if layout.transposed else table for table in tables]


def _table_key(row: Row, layout: Layout) -> tuple[str, ...]:
    return (
        "" if layout.joins_archs else row.eval_arch,
        "" if layout.join_protocols else row.protocol,
        "" if row.selection == "last" else row.selection,
        row.precision,
    )


def _fits(failure: Failure, key: tuple[str, ...]) -> bool:
    """Return whether a cell without a result may belong to the table of a key."""
    pairs = zip((failure.eval_arch, failure.protocol), key[:2], strict=True)
    return all(not own or not wanted or own == wanted for own, wanted in pairs)


def _slug(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
