"""What a paper's table is to contain, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.report.number_formats import ipc_order
from bench.report.paper.lines import Column

LAYOUTS = ("paper", "paper-transposed")
# The levels of the columns; the outermost first, unless a user orders them.
COLUMN_LEVELS = ("dataset", "ipc", "eval_arch")
Placement = Literal["under", "beside"]
Quantity = Literal["accuracy", "time"]


@dataclass(frozen=True)
class Layout:
    """How a paper's table is arranged.

    Attributes:
        name: names the table in LaTeX and in file names.
        caption: what it shows; empty for one that is made of its contents.
        methods: registered names in the order of the lines; what is not named comes after them.
        datasets: likewise, of the columns.
        ipcs: likewise.
        eval_archs: likewise.
        columns: the levels of the columns, outermost first; without ``eval_arch``, results of
            different architectures stand in different tables.
        join_protocols: put results of different protocols in one table, as papers do; each line
            has one protocol, and its name says which.
        transposed: set the methods as columns.
        placement: of published numbers: a line ``under`` each method, or ``beside`` each number.
        ratio: show how many of the training images the IPC are, in percent.
        quantity: what the entries are: accuracies, or the time that each result added to distil.
        complete: whether the failures name every cell that could be computed: a place without one
            is then not applicable, else it is missing.
    """

    name: str = "results"
    caption: str = ""
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    ipcs: Sequence[int] = ()
    eval_archs: Sequence[str] = ()
    columns: Sequence[str] = ("dataset", "ipc")
    join_protocols: bool = False
    transposed: bool = False
    placement: Placement = "under"
    ratio: bool = True
    quantity: Quantity = "accuracy"
    complete: bool = False

    @property
    def joins_archs(self) -> bool:
        """Whether one table has several architectures evaluated with."""
        return "eval_arch" in self.columns

    def sort_columns(self, columns: Iterable[Column]) -> list[Column]:
        """Return columns without repetition, in order."""
        return sorted(set(columns), key=self._place)

    def _place(self, column: Column) -> tuple[object, ...]:
        places = {
            "dataset": (_index(self.datasets, column.dataset), column.label),
            "ipc": (_index(self.ipcs, column.ipc), ipc_order(column.ipc)),
            "eval_arch": (_index(self.eval_archs, column.eval_arch), column.eval_arch),
        }
        return tuple(places[level] for level in (*self.columns, *COLUMN_LEVELS))


def _index(chosen: Sequence[object], value: object) -> int:
    return list(chosen).index(value) if value in chosen else len(chosen)
