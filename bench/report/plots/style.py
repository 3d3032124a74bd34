"""Common parts of the plots: fonts, series, titles, legends and reproducible files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any

from bench.ledger.rows import Conditions
from bench.report.aggregate import Row
from bench.report.method_styles import MethodStyle, profile_rank
from bench.report.number_formats import listing
from bench.report.plots.fonts import families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 8.5, "axes.titlesize": 9.5, "axes.labelsize": 8.5,
    "legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.linewidth": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.5, "lines.linewidth": 1.4,
    "lines.markersize": 5, "legend.frameon": False, "figure.dpi": 100, "savefig.dpi": 200,
    # Names are shown as they are: a dollar sign starts no formula.
    "text.parse_math": False,
    "svg.hashsalt": "bench", "svg.fonttype": "path", "axes.unicode_minus": True,
}  # fmt: skip
# So many letters fit over a panel 3.3 inches wide.
_TITLE_LETTERS, _DETAIL_LETTERS = 44, 60
# A legend's handle takes so many inches of its line, and its label so many letters per inch.
_HANDLE, _LETTERS_PER_INCH = 0.6, 13
_DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Series:
    """The results of one method under one setting, over IPC.

    Attributes:
        label: tells it from every other series of the figure.
        style: its method's colour and marker.
        dashes: a matplotlib line style; one per profile.
        hollow: whether the markers are hollow: images frozen.
        rows: by rising IPC.
    """

    label: str
    style: MethodStyle
    dashes: str
    hollow: bool
    rows: tuple[Row, ...]

    @property
    def face(self) -> str:
        """Return the colour inside the markers."""
        return "white" if self.hollow else self.style.colour

    @property
    def width(self) -> float:
        """Return the width of the line in points: thinner with hollow markers."""
        return 0.8 if self.hollow else 1.5


@contextmanager
def plot_style(texts: Iterable[str] = ()) -> Iterator[None]:
    """Set the style for drawing and saving inside this block.

    Args:
        texts: what the plots may show; fonts are chosen that can draw them.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "font.family": families(texts)})
        yield


def find_series(rows: Sequence[Row], figure_rows: Sequence[Row]) -> list[Series]:
    """Return a panel's series over IPC.

    Args:
        rows: the panel's results; those without an IPC are left out.
        figure_rows: every result of the figure, so that labels and dashes mean the same in each
            panel.
    """
    profiles = sorted(
        {r.profile for r in figure_rows} - {"any"}, key=lambda p: (profile_rank(p), p)
    )
    archs = {(r.method, r.arch) for r in figure_rows}
    twice = {m for m, _ in archs if sum(m == other for other, _ in archs) > 1}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.ipc is not None:
            key = (row.method, row.mode, row.profile, row.changed, row.arch)
            groups.setdefault(key, []).append(row)
    return [
        _series(members, profiles, name_arch=members[0].method in twice)
        for members in groups.values()
    ]


def _series(members: list[Row], profiles: list[str], *, name_arch: bool) -> Series:
    row = members[0]
    details = [
        row.mode if row.mode != "stored" else "",
        row.profile if len(profiles) > 1 and row.profile != "any" else "",
        row.changed,
        f"with {row.arch}" if name_arch and row.arch else "",
    ]
    detail = ", ".join(d for d in details if d)
    dashes = _DASHES[profiles.index(row.profile) % 4] if row.profile in profiles else "-"
    return Series(
        f"{row.style.label} ({detail})" if detail else row.style.label,
        row.style, dashes, row.mode == "frozen", tuple(members),
    )  # fmt: skip


def panel_title(axes: Axes, block: Conditions, rows: Sequence[Row]) -> None:
    """Write dataset and evaluating architecture over a panel, and details in smaller type."""
    spreads = {row.varies for row in rows}
    profiles = listing(r.profile for r in rows if r.profile != "any") or "any"
    parts = [
        f"{'profiles' if ',' in profiles else 'profile'} {profiles}", block.protocol,
        spreads.pop() if len(spreads) == 1 else "seeds and nets vary",
    ]  # fmt: skip
    if block.selection != "last":
        parts.append(f"selection {block.selection}")
    if block.precision != "fp32":
        parts.append(block.precision)
    if any(row.diverged for row in rows):
        nets = sum(row.n + row.diverged for row in rows)
        parts.append(f"without {sum(row.diverged for row in rows)} of {nets} nets that diverged")
    if block.dataset_note:
        parts.append(block.dataset_note)
    details = wrap(" · ".join(parts), _DETAIL_LETTERS, break_on_hyphens=False)
    title = fill(f"{block.dataset}, evaluated with {block.eval_arch}", _TITLE_LETTERS)
    axes.set_title(title, loc="left", pad=6 + 10 * len(details))
    axes.annotate(
        "\n".join(details), (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
        fontsize=7.5, color="#555555", ha="left", va="bottom",
    )  # fmt: skip


def draw_whole(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw what the whole dataset reaches as a line across the panel."""
    for row in (r for r in rows if r.ipc is None):
        colour = row.style.colour
        axes.axhline(row.mean, color=colour, linestyle=(0, (1, 1.5)), linewidth=1.1,
                     label=row.style.label)  # fmt: skip
        if row.std is not None:
            low, high = row.mean - row.std, row.mean + row.std
            axes.axhspan(low, high, color=colour, alpha=0.08, linewidth=0)


def legend_below(figure: Figure, panels: Sequence[Axes], extra: Sequence[Any] = ()) -> None:
    """Give the figure one legend under its panels, each label once, ``extra`` handles last.

    It has as many columns as fit, and the figure grows by its height.
    """
    from matplotlib.lines import Line2D

    handles_by_label: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles_by_label.setdefault(label, handle)
    # Error bars first: plain lines across a panel belong after the series.
    ordered = sorted(handles_by_label.items(), key=lambda pair: isinstance(pair[1], Line2D))
    handles = [*(handle for _, handle in ordered), *extra]
    width, height = figure.get_size_inches()
    letters = int((width - _HANDLE) * _LETTERS_PER_INCH)
    labels = [fill(label, letters) for label, _ in ordered]
    labels += [handle.get_label() for handle in extra]
    for lines in range(1, len(labels) + 1):
        columns = -(-len(labels) // lines)
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        size = legend.get_window_extent()
        if size.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + size.height / figure.dpi)


def save(figure: Figure, out_dir: Path, stem: str) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, without a date, so that reruns give the same bytes."""
    out_dir.mkdir(parents=True, exist_ok=True)
    png, svg = out_dir / f"{stem}.png", out_dir / f"{stem}.svg"
    figure.savefig(png, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
