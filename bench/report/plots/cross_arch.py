"""The cross-architecture plot: accuracies of each distilled set over several architectures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.ledger.rows import Conditions
from bench.report.number_formats import percent
from bench.report.paper.names import arch_label
from bench.report.plots.layout import add_title, fit_height
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.series import find_series, find_whole
from bench.report.plots.style import NOTE, TICK
from bench.report.plots.titles import title_panels
from bench.report.row import Row, setting_order
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDEST_CELL = "100.0 ± 10.0"
# In inches: the room around texts, and the figure's width.
_GAP, _LEAST_WIDTH = 0.15, 4.6
# The labels beside the cells take no more than this share of a width that the user chose.
_MOST_BESIDE = 0.36
# So many letters at most stand in a line under a cell.
_NAME_LETTERS = 14
# A cell's height in letters, by its lines of text.
_LINE, _TWO_LINES = 2.3, 3.3
_COLOURS, _NO_RESULT = "Blues", "#F2F2F2"
_X_LABEL = "Test accuracy (%) by evaluating architecture; framed: also distilled with it"


@dataclass(frozen=True)
class Line:
    """One line of a heat map.

    Attributes:
        label: the method, its setting and the images per class.
        method: registered name.
        rows: its results by the architecture evaluated with.
    """

    label: str
    method: str
    rows: dict[str, Row]


def cross_arch_figure(rows: Sequence[Row], options: PlotOptions = DEFAULT) -> Figure:
    """Return the plot of results, to be called inside :func:`plot_style`.

    A heat map has architectures across, methods and IPCs down. There is one for each dataset and
    protocol with a result on two architectures. Results on only one are left out, except those of
    whole datasets.

    Raises:
        BenchError: if nothing was evaluated with two architectures.
    """
    from matplotlib.figure import Figure

    panels = _panels(rows)
    if not panels:
        raise BenchError(
            "nothing was evaluated with two architectures, so there is no transfer to draw: "
            "run the grid with --eval-arch NAME,NAME"
        )
    drawn = [row for members in panels.values() for row in members]
    lines = [_lines(members, drawn) for members in panels.values()]
    across = max(len(_archs(members)) for members in panels.values())
    counts = [len(each) for each in lines]
    cells = _Cells.fitting(across, [line.label for each in lines for line in each], options)
    figure = Figure((cells.figure_width, cells.height * sum(counts)), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=counts)
    for axes, each, members in zip(grid.flat, lines, panels.values(), strict=True):
        _draw(axes, each, _archs(members), cells, options)
    title_panels(list(grid.flat), panels, cells.width * across, options)
    add_title(figure, options)
    down = sum(counts) / min(counts)
    fit_height(figure, list(grid.flat), down, options, cells.height * min(counts))
    return figure


@dataclass(frozen=True)
class _Cells:
    """The sizes of a heat map in inches, and whether a cell has its spread in a second line."""

    figure_width: float
    beside: float
    width: float
    height: float
    two_lines: bool

    @classmethod
    def fitting(cls, across: int, labels: Sequence[str], options: PlotOptions) -> _Cells:
        """Return the sizes for ``across`` cells, with ``labels`` beside them."""
        letter = 1 / options.letters(1.0)
        beside = max(map(len, labels)) * letter + _GAP
        natural = len(_WIDEST_CELL) * letter * NOTE + _GAP
        if options.width is not None:
            beside = min(beside, options.width * _MOST_BESIDE)
            figure_width = options.width
        else:
            figure_width = max(_LEAST_WIDTH, beside + natural * across)
        width = (figure_width - beside) / across
        two_lines = width < natural
        height = (_TWO_LINES if two_lines else _LINE) * options.font_size / 72
        return cls(figure_width, beside, width, height, two_lines)


def _panels(rows: Sequence[Row]) -> dict[Conditions, list[Row]]:
    """Return what several architectures evaluated, by the other conditions, sorted by setting."""
    groups: dict[Conditions, dict[tuple[Any, ...], list[Row]]] = {}
    for row in rows:
        block = replace(row.conditions, eval_arch="several networks")
        key = setting_order(row, row.style)
        groups.setdefault(block, {}).setdefault(key, []).append(row)
    panels = {block: _transferred(settings) for block, settings in groups.items()}
    return {block: members for block, members in panels.items() if members}


def _transferred(settings: Mapping[tuple[Any, ...], list[Row]]) -> list[Row]:
    """Return the results of settings with two architectures, and with them those of whole sets."""
    if all(len(rows) < 2 for rows in settings.values()):
        return []
    return [
        row
        for _, rows in sorted(settings.items())
        for row in rows
        if len(rows) > 1 or row.ipc is None
    ]


def _archs(rows: Sequence[Row]) -> list[str]:
    """Return the evaluating architectures: first those distilled with, then by family and size."""
    own = {row.arch for row in rows}
    names = {row.eval_arch for row in rows}
    return sorted(names, key=lambda name: (name not in own, _natural(name)))


def _natural(name: str) -> list[tuple[int, Any]]:
    """Return a sort key that orders numbers by size: ``resnet18`` before ``resnet101``."""
    return [(0, int(p)) if p.isdigit() else (1, p) for p in re.findall(r"\d+|\D+", name)]


def _lines(rows: Sequence[Row], figure_rows: Sequence[Row]) -> list[Line]:
    lines: list[Line] = []
    for series in find_series(rows, figure_rows):
        for ipc in dict.fromkeys(row.ipc for row in series.rows):
            by_arch = {row.eval_arch: row for row in series.rows if row.ipc == ipc}
            lines.append(Line(f"{series.label}, IPC {ipc}", series.rows[0].method, by_arch))
    for whole in find_whole(rows, figure_rows):
        by_arch = {row.eval_arch: row for row in whole.rows}
        lines.append(Line(whole.label, whole.rows[0].method, by_arch))
    return lines


def _draw(
    axes: Axes, lines: Sequence[Line], archs: Sequence[str], cells: _Cells, options: PlotOptions
) -> None:
    import numpy as np

    means = np.full((len(lines), len(archs)), np.nan)
    for y, line in enumerate(lines):
        for x, arch in enumerate(archs):
            means[y, x] = line.rows[arch].mean if arch in line.rows else np.nan
    low, high = _range(lines)
    image = axes.imshow(means, aspect="auto", cmap=_COLOURS, vmin=low, vmax=high)
    axes.set_facecolor(_NO_RESULT)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(archs)), _names(archs, cells, options))
    beside = options.letters(cells.beside)
    axes.set_yticks(range(len(lines)), [fill(line.label, beside) for line in lines])
    axes.set_xlabel(fill(_X_LABEL, options.letters(cells.width * len(archs))))
    for y, colours in enumerate(image.to_rgba(means)):
        if y and lines[y].method != lines[y - 1].method:
            axes.axhline(y - 0.5, color="white", linewidth=2.5)
        for x, arch in enumerate(archs):
            _write(axes, (x, y), lines[y].rows.get(arch), colours[x], cells)


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the range of the colours, without whole sets, which would leave few to the rest."""
    rows = [row for line in lines for row in line.rows.values()]
    means = [row.mean for row in rows if row.ipc is not None] or [row.mean for row in rows]
    # The upper end lies above the best, so that no cell is darker than its text needs.
    return min(means), max(means) + max(1.0, max(means) - min(means)) / 2


def _names(archs: Sequence[str], cells: _Cells, options: PlotOptions) -> list[str]:
    """Return the architectures' names, in lines that fit under a cell."""
    letters = min(_NAME_LETTERS, options.letters(cells.width, TICK))
    return [_broken(arch_label(arch), letters) for arch in archs]


def _broken(arch: str, letters: int) -> str:
    lines = [""]
    for part in re.findall(r"\(?[^(,:_]+[,:_]?", arch):
        if lines[-1] and len(lines[-1]) + len(part) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def _write(
    axes: Axes, at: tuple[int, int], row: Row | None, colour: Sequence[float], cells: _Cells
) -> None:
    """Write a cell's accuracy; frame it if the same architecture was distilled with."""
    from matplotlib import rcParams
    from matplotlib.patches import Rectangle

    x, y = at
    if row is None:
        axes.text(x, y, "–", ha="center", va="center", color="#888888")
        return
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 0.5
    ink = "black" if light else "white"
    text = percent(row.mean, row.plus_minus)
    axes.text(
        x, y, text.replace(" ±", "\n±") if cells.two_lines else text,
        ha="center", va="center", color=ink, fontsize=rcParams["font.size"] * NOTE,
    )  # fmt: skip
    if row.arch == row.eval_arch:
        frame = Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, fill=False, edgecolor=ink, linewidth=1)
        axes.add_patch(frame)
