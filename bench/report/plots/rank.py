"""The rank plot: the average rank of each method over the cells that all have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import Contender, find_contenders
from bench.report.comparison.grid import GridLine, Rank, grid_lines
from bench.report.comparison.pairs import Measured
from bench.report.number_formats import listing, plural
from bench.report.paper.names import arch_label
from bench.report.plots.fonts import drawable
from bench.report.plots.layout import add_title, fit_height
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.panels import usual
from bench.report.plots.style import plot_style, save
from bench.report.plots.titles import NOTES_BETWEEN, panel_titles, write_titles
from bench.report.row import Row
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 4.6  # inches
# Labels take no more than this share of the width; a method's height in letters, by its lines.
_LABEL_SHARE, _FIRST_LINE, _OTHER_LINES = 0.42, 1.8, 1.2


def plot_rank(
    evaluations: Sequence[Evaluation], out_dir: Path, options: PlotOptions = DEFAULT
) -> list[Path]:
    """Draw the average rank of each method with its 95 % interval, as ``bench compare`` has them.

    Args:
        evaluations: of at least two methods that were measured alike.
        out_dir: where ``rank.png``, ``.svg`` and ``.pdf`` are written; it is made if absent.
        options: the user's.

    Returns:
        The files written.

    Raises:
        BenchError: if no two methods were measured alike, or the size that the user chose leaves
            no room for the panels.
    """
    contenders = find_contenders(evaluations)
    lines = grid_lines(contenders)
    texts = {drawable(text) for line in lines for text in (line.label, *line.measured)}
    with plot_style(texts, options):
        return save(rank_figure(contenders, lines, options), out_dir, "rank")


def rank_figure(
    contenders: Sequence[Contender], lines: Sequence[GridLine], options: PlotOptions = DEFAULT
) -> Figure:
    """Return the plot, to be called inside :func:`plot_style`.

    Raises:
        BenchError: if no line has a rank.
    """
    panels: dict[Measured, list[tuple[GridLine, Rank]]] = {}
    for line in lines:
        if line.rank is not None:
            panels.setdefault(line.measured, []).append((line, line.rank))
    if not panels:
        raise BenchError(
            "no two methods were measured alike in a cell, so there are no ranks: run more "
            "methods, or filter with --method those that have a cell in common"
        )
    chosen = _choose(panels, options)
    without = [line.label for line in lines if line.rank is None and line.measured in chosen]
    if without:
        options.say(f"without a rank, for too few cells: {listing(dict.fromkeys(without))}")
    if len(panels) > len(chosen):
        options.say(
            f"not drawn: {plural(len(panels) - len(chosen), 'panel')} of the fewest cells, or of "
            "the best step on the test set; choose with --eval-arch and --protocol"
        )
    firsts = {one.label: next(iter(one.rows.values())) for one in contenders}
    return _figure([(kind, panels[kind]) for kind in chosen], firsts, options)


def _choose(
    panels: Mapping[Measured, list[tuple[GridLine, Rank]]], options: PlotOptions
) -> list[Measured]:
    """Return the panels to draw: those over several cells, and first those that no one asks for."""
    first = usual(panels)
    order = sorted(
        panels,
        key=lambda kind: (kind not in first, -panels[kind][0][1].cells, -len(panels[kind])),
    )
    # A rank in a single cell says less than its accuracies do.
    several = [kind for kind in order if panels[kind][0][1].cells > 1]
    shown = several if any(kind in first for kind in several) else order
    return shown[: options.max_panels]


def _figure(
    panels: Sequence[tuple[Measured, list[tuple[GridLine, Rank]]]],
    firsts: Mapping[str, Row],
    options: PlotOptions,
) -> Figure:
    from matplotlib.figure import Figure

    width = options.width or _WIDTH
    letters = options.letters(_LABEL_SHARE * width)
    labels = [fill(drawable(line.label), letters) for _, lines in panels for line, _ in lines]
    most = max(label.count("\n") for label in labels)
    height = options.font_size / 72 * (_FIRST_LINE + _OTHER_LINES * most)
    counts = [len(lines) for _, lines in panels]
    figure = Figure((width, height * sum(counts)), layout="constrained")
    grid = list(figure.subplots(len(panels), 1, squeeze=False, height_ratios=counts).flat)
    titles = panel_titles([kind for kind, _ in panels], _name, options)
    for axes, (kind, lines), title in zip(grid, panels, titles, strict=True):
        _draw(axes, sorted(lines, key=lambda pair: pair[1].mean), firsts, letters)
        notes = _notes(kind, lines[0][1])
        write_titles(axes, drawable(title), notes, width * (1 - _LABEL_SHARE), options)
    grid[-1].set_xlabel("Average rank (1 is best)")
    add_title(figure, options)
    fit_height(figure, grid, sum(counts) / min(counts), options, height * min(counts))
    return figure


def _draw(
    axes: Axes,
    ranked: Sequence[tuple[GridLine, Rank]],
    firsts: Mapping[str, Row],
    letters: int,
) -> None:
    from matplotlib.ticker import MaxNLocator

    for y, (line, rank) in enumerate(ranked):
        style, hollow = firsts[line.label].style, firsts[line.label].mode == "frozen"
        known = rank.low is not None and rank.high is not None
        ends = [[rank.mean - (rank.low or 0)], [(rank.high or 0) - rank.mean]] if known else None
        axes.errorbar(
            [rank.mean], [y], xerr=ends, color=style.colour, marker=style.marker,
            markersize=style.marker_size * 1.2, markerfacecolor="white" if hollow else style.colour,
            capsize=2.5, elinewidth=1.1,
        )  # fmt: skip
    axes.set_yticks(range(len(ranked)), [fill(drawable(line.label), letters) for line, _ in ranked])
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0.8, len(ranked) + 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _name(kind: Measured) -> str:
    return f"Evaluated with {arch_label(kind.eval_arch)}"


def _notes(kind: Measured, rank: Rank) -> str:
    seeds = f" and {plural(rank.seeds, 'seed')}" if rank.seeds else ""
    notes = [kind.protocol, f"over {plural(rank.cells, 'cell')}{seeds} that all have"]
    if kind.selection != "last":
        notes.append(f"selection {kind.selection}")
    if kind.precision != "fp32":
        notes.append(kind.precision)
    notes.append("no interval" if rank.low is None else "bars: 95 % interval over cells and seeds")
    return NOTES_BETWEEN.join(notes)
