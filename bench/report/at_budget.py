"""Results at equal budgets: of each method the one nearest below an amount of steps or images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from bench.ledger.rows import Setting
from bench.report.number_formats import count, ipc_order, size
from bench.report.result_tables import block_section
from bench.report.row import Row, blocks
from bench.support.document import Section
from bench.support.errors import BenchError

_COSTS = ("New distil steps", "New distil time")


@dataclass(frozen=True)
class _Quantity:
    """What an evaluation was given, that can be made equal.

    Attributes:
        words: its name in sentences.
        unit: what follows an amount.
        value: of a result; ``None`` where it has none.
        text: of an amount.
    """

    words: str
    unit: str
    value: Callable[[Row], int | None]
    text: Callable[[int], str] = count


QUANTITIES: Mapping[str, _Quantity] = {
    "steps": _Quantity("training steps", "training steps", lambda row: row.training_steps),
    "images": _Quantity("distinct images", "distinct images", lambda row: row.distinct_images),
    "bytes": _Quantity("stored bytes", "stored", lambda row: row.stored_bytes, size),
    "ipc": _Quantity("images per class", "images per class", lambda row: row.ipc),
}


@dataclass(frozen=True)
class Budget:
    """An amount that results may take at most.

    Attributes:
        name: of :data:`QUANTITIES`.
        amount: 1 or more.
    """

    name: str
    amount: int

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``steps=1000``.

        Raises:
            BenchError: naming what is allowed.
        """
        name, _, number = (part.strip() for part in text.partition("="))
        if name in QUANTITIES and number.isascii() and number.isdigit() and int(number[:19]) > 0:
            return cls(name, int(number[:19]))
        raise BenchError(
            f"--at '{text}' is not allowed: write {', '.join(f'{n}=N' for n in QUANTITIES)}, with "
            "a whole number from 1 up for N"
        )

    @property
    def words(self) -> str:
        """Return the budget in words: ``1,000 training steps``."""
        quantity = QUANTITIES[self.name]
        return f"{quantity.text(self.amount)} {quantity.unit}"

    def value(self, row: Row) -> int | None:
        """Return what a result takes of it."""
        return QUANTITIES[self.name].value(row)


@dataclass(frozen=True)
class Choice:
    """The results at a budget.

    Attributes:
        rows: one of each method and setting, in the order of tables.
        without: the rows with the least of settings that have no result within the budget.
        apart: those that take nothing of the kind, such as the whole dataset, which has no IPC.
    """

    rows: list[Row]
    without: list[Row]
    apart: list[Row]


def choose(rows: Sequence[Row], budget: Budget) -> Choice:
    """Choose, of results that differ by IPC only, the one nearest below a budget.

    Of several with the same amount, as of two IPC that take one step an epoch, the largest IPC is
    chosen. Accuracies play no part.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if budget.value(row) is not None:
            groups.setdefault(_setting(row), []).append(row)
    chosen, without = [], []
    for members in groups.values():
        within = [row for row in members if (budget.value(row) or 0) <= budget.amount]
        if within:
            chosen.append(max(within, key=lambda row: _rank(row, budget)))
        else:
            without.append(min(members, key=lambda row: _rank(row, budget)))
    return Choice(_charged(chosen), without, [row for row in rows if budget.value(row) is None])


def _charged(rows: Sequence[Row]) -> list[Row]:
    """Return rows of which the first with a set pays for it: the one that did may be left out."""
    paid: set[tuple[str, ...]] = set()
    charged = []
    for row in rows:
        steps, seconds = row.distil_steps, row.distil_seconds
        if row.distil_ids in paid:
            steps, seconds = 0.0, 0.0
        paid.add(row.distil_ids)
        charged.append(replace(row, new_distil_steps=steps, new_distil_seconds=seconds))
    return charged


def budget_sections(choice: Choice, budget: Budget) -> list[Section]:
    """Return a section for each set of conditions, which says what was chosen."""
    sections = []
    grouped, others = blocks(choice.rows), blocks(choice.without)
    for block, members in grouped.items():
        full = block_section(block, members, list(grouped))
        lead = (
            f"{full.lead} At equal budgets: of each method the result with the most "
            f"{QUANTITIES[budget.name].words}, up to {budget.words}; of several, that of the "
            "largest IPC."
        )
        (sheet,) = (each for each in full.sheets if each.caption == "Budgets")
        # What a distilled set cost stands in other rows, which are left out here.
        sheet = replace(sheet.without(_COSTS), caption=f"At most {budget.words}", notes=())
        notes = [*full.notes, *_missing(others.pop(block, []), budget)]
        sections.append(Section(full.title, lead, (sheet,), notes))
    rest = [row for members in others.values() for row in members]
    notes = _missing(rest, budget, where=True)
    quantity = QUANTITIES[budget.name].words
    notes += [f"{_name(row, where=True)} has no number of {quantity}." for row in choice.apart]
    if notes:
        sections.append(Section(f"No result within {budget.words}", notes=notes))
    return sections


def left_out(choice: Choice, budget: Budget) -> list[tuple[Row, str]]:
    """Return the rows that stand for the settings without a result, and why they have none."""
    quantity = QUANTITIES[budget.name].words
    without = [(row, f"no {_because(row, budget)}") for row in choice.without]
    return without + [(row, f"no number of {quantity}") for row in choice.apart]


def _missing(rows: Sequence[Row], budget: Budget, *, where: bool = False) -> list[str]:
    """Return a sentence for each setting without a result."""
    return [f"{_name(row, where)} has no {_because(row, budget)}." for row in rows]


def _because(row: Row, budget: Budget) -> str:
    quantity = QUANTITIES[budget.name]
    return (
        f"result within {budget.words}: its smallest takes "
        f"{quantity.text(budget.value(row) or 0)} ({_images(row.ipc)})"
    )


def _images(ipc: int | None) -> str:
    return "all images" if ipc is None else f"IPC {ipc}"


def _name(row: Row, where: bool) -> str:
    place = f" on {row.dataset} with {row.eval_arch}, {row.protocol}" if where else ""
    ways = ", ".join(filter(None, (row.mode, row.profile, row.changed)))
    return f"{row.style.label} ({ways}){place}"


def _setting(row: Row) -> tuple[object, ...]:
    return tuple(getattr(row, each.name) for each in fields(Setting) if each.name != "ipc")


def _rank(row: Row, budget: Budget) -> tuple[float, float]:
    return float(budget.value(row) or 0), ipc_order(row.ipc)
