"""What a report page shows, as plain values: facts, tables, charts, galleries, and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.ledger.rows import Failure, Rows
from bench.ledger.store import Store
from bench.report.aggregate import collect
from bench.report.csv_json import Contents, to_csv, to_json
from bench.report.number_formats import listing, plural
from bench.report.page.axis import AXES, Axis
from bench.report.page.chart import Chart, charts_of, learning_charts_of
from bench.report.page.columns import COLUMNS, FILTERED, Column
from bench.report.page.images import Gallery, galleries_of
from bench.report.page.origin import Machine, machines_of, requests_of
from bench.report.page.privacy import public_failures, public_rows
from bench.report.paper.build import paper_tables
from bench.report.paper.html import html_references, html_table
from bench.report.paper.names import dataset_facts
from bench.report.paper.texts import references
from bench.report.plots.same_seeds import share_seeds
from bench.report.row import Row, blocks
from bench.support.errors import BenchError
from bench.support.safe_text import printable


@dataclass(frozen=True)
class DataNote:
    """What a reader must know of a dataset.

    Attributes:
        name: of the dataset.
        sha256: names its content.
        n_test: how many test images there are.
        note: what sets it apart from the official data; may be empty.
    """

    name: str
    sha256: str
    n_test: int
    note: str


@dataclass(frozen=True)
class Filter:
    """A choice over the full table.

    Attributes:
        header: of its column.
        index: of its column.
        values: what can be chosen.
    """

    header: str
    index: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the template needs.

    Attributes:
        title: of the page.
        facts: the numbers at its top, as pairs of a name and a text.
        commands: the command lines that asked for the results, without paths of their machine.
        papers: tables as papers print them, safe HTML.
        references: the sources that those cite, safe HTML; may be empty.
        columns: of the full table.
        filters: over the full table; only where there is a choice.
        rows: the results of the full table.
        axes: what any of the charts can be drawn against.
        charts: one per set of conditions.
        learning: charts of learning curves, likewise; none without results of sets before the last
            step of their distillation.
        galleries: images of distilled sets; empty if the store holds none.
        left_out: what could not be shown in the galleries, in words.
        failures: the cells that have no result.
        machines: what the results were computed on.
        data: the datasets.
        json: the results as ``bench table --format json`` prints them, without the paths of their
            machine.
        csv: likewise as CSV.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    papers: tuple[str, ...]
    references: str
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...]
    rows: tuple[Row, ...]
    axes: tuple[Axis, ...]
    charts: tuple[Chart, ...]
    learning: tuple[Chart, ...]
    galleries: tuple[Gallery, ...]
    left_out: tuple[str, ...]
    failures: tuple[Failure, ...]
    machines: tuple[Machine, ...]
    data: tuple[DataNote, ...]
    json: str
    csv: str


def make_page(rows: Rows, store: Store, title: str = "") -> Page:
    """Return the page of a selection of a store.

    Args:
        rows: the selected evaluations, and the cells that have no result. Those of sets before the
            last step of their distillation are in learning curves only.
        store: they are from; its artefacts are drawn and its records say what computed them.
        title: over the page; by default it names the methods and the datasets.

    Raises:
        BenchError: no evaluation is of a finished set.
    """
    evaluations = [one for one in rows.evaluations if one.percent is None]
    if not evaluations:
        raise BenchError("no distillation is finished: there is no result that a page could show")
    results = public_rows(collect(evaluations), store.root)
    every = results
    if len(evaluations) < len(rows.evaluations):
        shared, _ = share_seeds(rows.evaluations)
        every = public_rows(collect(shared), store.root)
    failures = public_failures(rows.failures)
    tables = paper_tables(results, failures)
    charts = charts_of(results)
    galleries, left_out = galleries_of(evaluations)
    columns = tuple(column for column in COLUMNS if column.is_needed(results))
    return Page(
        title=printable(title) or _title(results),
        facts=_facts(results, failures),
        commands=requests_of(store),
        papers=tuple(html_table(table) for table in tables),
        references=html_references(references(tables)),
        columns=columns,
        filters=_filters(columns, results),
        rows=tuple(results),
        axes=tuple(axis for axis in AXES if any(chart.view(axis) for chart in charts)),
        charts=charts,
        learning=learning_charts_of(every),
        galleries=galleries,
        left_out=left_out,
        failures=tuple(failures),
        machines=machines_of(evaluations, store),
        data=_data(results),
        json=to_json(Contents(results, failures)),
        csv=to_csv(Contents(results, failures)),
    )


def _title(rows: Sequence[Row]) -> str:
    methods = {row.method for row in rows}
    datasets = listing(dataset_facts(row.dataset).label for row in rows)
    if len(methods) > 3:
        return f"{plural(len(methods), 'method')} on {datasets}"
    return f"{listing(row.style.label for row in rows)} on {datasets}"


def _facts(rows: Sequence[Row], failures: Sequence[Failure]) -> tuple[tuple[str, str], ...]:
    facts = [
        ("results", str(len(rows))),
        ("methods", str(len({row.method for row in rows}))),
        ("datasets", str(len({row.dataset_sha256 for row in rows}))),
        ("networks trained", f"{sum(row.n + row.diverged for row in rows):,}"),
        ("settings", str(len(blocks(rows)))),
    ]
    facts = [(name.removesuffix("s") if text == "1" else name, text) for name, text in facts]
    if failures:
        facts.append(("without a result", str(len(failures))))
    return tuple(facts)


def _filters(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Filter, ...]:
    """Return a filter for each column that people choose by and that holds several texts."""
    filters = []
    for index, column in enumerate(columns):
        values = tuple(dict.fromkeys(column.text(row) for row in rows))
        if column.name in FILTERED and len(values) > 1:
            filters.append(Filter(column.header, index, values))
    return tuple(filters)


def _data(rows: Sequence[Row]) -> tuple[DataNote, ...]:
    notes = {
        row.dataset_sha256: DataNote(row.dataset, row.dataset_sha256, row.n_test, row.dataset_note)
        for row in rows
    }
    return tuple(sorted(notes.values(), key=lambda note: (note.name, note.sha256)))
