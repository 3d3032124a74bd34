"""Filters over rows, by what was evaluated and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.ledger.rows import Evaluation, Failure, Rows, newest_versions
from bench.support.errors import BenchError, UnknownNameError

FILTERS = (
    "dataset", "method", "ipc", "eval_arch", "profile", "protocol", "stored_as", "method_version",
)  # fmt: skip
# A version that is none by itself: of each method the newest that the other filters select.
NEWEST = "newest"


def select(rows: Rows, values: Mapping[str, Sequence[str] | None]) -> Rows:
    """Return the rows that have one of the given values in each column.

    A method whose profiles all agree (profile ``any``) belongs to every profile. A protocol may
    be named without its version. The version :data:`NEWEST` is chosen last, method by method.

    Args:
        rows: evaluations and failures; a column that failures lack does not filter them.
        values: the values to select, by column of :data:`FILTERS`; ``None`` selects all.

    Raises:
        UnknownNameError: if no row has a value.
        BenchError: if each value occurs, but no evaluation has them together, or
            :data:`NEWEST` stands beside other versions.
    """
    evaluations: Iterable[Evaluation] = rows.evaluations
    failures: Iterable[Failure] = rows.failures
    given = {column: choices for column, choices in values.items() if choices}
    versions = given.get("method_version", ())
    newest = NEWEST in versions
    if newest and len(versions) > 1:
        raise BenchError(f"method-version '{NEWEST}' stands alone, not {', '.join(versions)}")
    for column, choices in given.items():
        if newest and column == "method_version":
            continue
        every: list[Evaluation | Failure] = [*rows.evaluations, *rows.failures]
        known = {text for row in every if (text := _text(row, column))}
        names = {name for choice in choices for name in _matches(column, choice, known)}
        evaluations = [row for row in evaluations if _text(row, column) in names]
        if column in Failure.__dataclass_fields__:
            # A distillation has no protocol, and serves all of them.
            unsaid = {""} if column == "protocol" else set()
            failures = [row for row in failures if _text(row, column) in names | unsaid]
    evaluations = list(evaluations)
    selected = Rows(_newest(evaluations) if newest else evaluations, list(failures))
    if rows.evaluations and not selected.evaluations:
        filters = ", ".join(f"{_option(c)} {' or '.join(v)}" for c, v in given.items())
        raise BenchError(f"the store has no result with {filters} together")
    return selected


def _newest(rows: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the rows of each method's newest version among them."""
    newest = newest_versions(rows)
    return [row for row in rows if row.method_version == newest[row.method]]


def _option(column: str) -> str:
    return column.replace("_", "-")


def _text(row: Evaluation | Failure, column: str) -> str | None:
    """Return a row's value as users write it; ``None`` if it has none."""
    value = getattr(row, column, None)
    return None if value is None else str(value)


def _matches(column: str, value: str, known: set[str]) -> set[str]:
    matching = {value} & known
    if column == "protocol":
        matching |= {name for name in known if name.rsplit("-v", 1)[0] == value}
    if not matching:
        allowed = known | ({NEWEST} if column == "method_version" else set())
        raise UnknownNameError(f"{_option(column)} in the store", value, allowed)
    return matching | ({"any"} & known if column == "profile" else set())
