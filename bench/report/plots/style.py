"""The style of all plots, and their files, which reruns write with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.plots.fonts import drawable_rows, families, texts_of
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Sizes of letters relative to axis labels.
TITLE, NOTE, LEGEND, TICK = 1.12, 0.88, 0.94, 0.94
NOTE_COLOUR = "#555555"

_STYLE: dict[Any, Any] = {
    "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.5, "lines.linewidth": 1.4,
    "lines.markersize": 5, "legend.frameon": False,
    "legend.columnspacing": 1.2, "legend.handlelength": 1.8, "figure.dpi": 100, "savefig.dpi": 200,
    # Names are shown as they are: a dollar sign starts no formula.
    "text.parse_math": False,
    "svg.hashsalt": "bench", "svg.fonttype": "path", "axes.unicode_minus": True,
    # Publishers refuse fonts of type 3.
    "pdf.fonttype": 42,
}  # fmt: skip
# What matplotlib would write of itself and of the time, by format.
_NO_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

MakeFigure = Callable[[Sequence[Row], PlotOptions], "Figure"]


@contextmanager
def plot_style(texts: Iterable[str] = (), options: PlotOptions = DEFAULT) -> Iterator[None]:
    """Set the style for drawing and saving inside this block.

    Args:
        texts: what the plots may show; fonts are chosen that can draw them.
        options: the user's; they decide the size of the letters.
    """
    import matplotlib as mpl

    size = options.font_size
    sizes: dict[Any, Any] = {
        "font.size": size, "axes.labelsize": size, "axes.titlesize": size * TITLE,
        "figure.titlesize": size * TITLE, "legend.fontsize": size * LEGEND,
        "xtick.labelsize": size * TICK, "ytick.labelsize": size * TICK,
    }  # fmt: skip
    with mpl.rc_context():
        mpl.rcdefaults()
        families_needed = families({*texts, options.title})
        mpl.rcParams.update({**_STYLE, **sizes, "font.family": families_needed})
        yield


def save(figure: Figure, out_dir: Path, stem: str) -> list[Path]:
    """Write ``stem.png``, ``.svg`` and ``.pdf``, without a date: reruns give the same bytes."""
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = [out_dir / f"{stem}.{suffix}" for suffix in _NO_METADATA]
    for path in paths:
        figure.savefig(path, metadata=_NO_METADATA[path.suffix[1:]])
    return paths


def draw_results(
    stem: str,
    make_figure: MakeFigure,
    evaluations: Sequence[Evaluation],
    out_dir: Path,
    options: PlotOptions = DEFAULT,
) -> list[Path]:
    """Write the figure that ``make_figure`` makes of the results of some evaluations."""
    rows = drawable_rows(collect(evaluations, options.spread))
    with plot_style(texts_of(rows), options):
        return save(make_figure(rows, options), out_dir, stem)
