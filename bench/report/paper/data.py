"""A paper's table for programs: JSON with everything, CSV as it is printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.report.paper.model import Axis, Entry, PaperTable
from bench.report.paper.texts import plain_column, plain_entry, plain_heading, references


def to_json(tables: Sequence[PaperTable]) -> str:
    """Return ``{"tables": [...], "references": [...]}``; the fields are those of the model.

    An entry of ours also has ``n``, ``seeds``, ``varies`` and the ids of its cells.
    """
    content = {
        "tables": [_table(table) for table in tables],
        "references": [asdict(source) for source in references(tables)],
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(tables: Sequence[PaperTable]) -> str:
    """Return the tables as they are printed, one below the other; the first column names each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        columns = [plain_column(table.columns, heading) for heading in table.columns.headings]
        writer.writerow(["Table", *table.rows.names, *columns])
        for heading, entries in zip(table.rows.headings, table.entries, strict=True):
            names = [plain_heading(heading, level) for level in range(len(table.rows.names))]
            writer.writerow([table.name, *names, *map(plain_entry, entries)])
    return out.getvalue()


def _table(table: PaperTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "caption": table.caption,
        "transposed": table.transposed,
        "rows": _axis(table.rows),
        "columns": _axis(table.columns),
        "entries": [[_entry(entry) for entry in line] for line in table.entries],
        "notes": [asdict(note) for note in table.notes],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"names": axis.names, "headings": [asdict(heading) for heading in axis.headings]}


def _entry(entry: Entry) -> dict[str, Any]:
    published = None if entry.published is None else asdict(entry.published)
    values = {
        "state": entry.state, "text": entry.text, "value": entry.value, "spread": entry.spread,
        "place": entry.place, "marks": entry.marks, "cite": entry.cite, "published": published,
    }  # fmt: skip
    if entry.row is not None:
        row = entry.row
        values |= {"n": row.n, "seeds": row.seeds, "varies": row.varies, "cell_ids": row.cell_ids}
    return values
