"""The gallery: the images that each method trains networks on, one row per class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from bench.ledger.record_file import load_record
from bench.ledger.rows import Evaluation
from bench.report.aggregate import Row, collect
from bench.report.number_formats import plural
from bench.report.plots.fonts import drawable, drawable_rows, texts_of
from bench.report.plots.style import plot_style, save
from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.untrusted import file_sha256

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_CLASSES = 10
_MOST_IMAGES = 10
_LONGEST_NAME = 40
_NARROWEST, _WIDEST = 1.02, 12.5
_LETTERS_PER_INCH, _TITLE_LETTERS_PER_INCH = 15, 12
_GAP = 2
# An image is at least so wide, and wide enough for all its pixels in a PNG.
_LEAST_INCHES, _DOTS_PER_INCH = 0.26, 200


@dataclass(frozen=True)
class _Panel:
    title: str
    montage: NDArray[np.float32]
    columns: int
    class_names: tuple[str, ...]
    num_classes: int

    @property
    def inches(self) -> float:
        """Return how wide an image is drawn, the gap beside it included."""
        pixels: int = self.montage.shape[1]
        return max(_LEAST_INCHES, pixels / self.columns / _DOTS_PER_INCH)

    @property
    def classes(self) -> str:
        """Return which classes are shown, in words."""
        shown = len(self.class_names)
        return "each class" if shown == self.num_classes else f"each of the first {shown} classes"


def plot_gallery(evaluations: Sequence[Evaluation], out_dir: Path) -> list[Path]:
    """Draw distilled images: a figure per dataset and IPC, a panel per method, a row per class.

    The artefact of the first seed is shown. A generator draws its images from a fixed seed; a
    factored set shows its grids as they are stored. Of many classes or images per class the first
    ten are shown.

    Args:
        evaluations: at least one successful evaluation (:func:`bench.ledger.rows.load_rows`).
        out_dir: where ``gallery-DATASET-ipcN.png`` and ``.svg`` are written; it is made if absent.

    Returns:
        The files written.

    Raises:
        BenchError: if an artefact is missing, damaged or has a class without an image.
    """
    figures: dict[tuple[str, str, int], dict[tuple[str, ...], Row]] = {}
    for row in drawable_rows(collect(evaluations)):
        if row.ipc is not None:
            setting = (row.method, row.profile, row.changed, row.arch, row.precision)
            name = (row.dataset, row.dataset_sha256, row.ipc)
            figures.setdefault(name, {}).setdefault(setting, row)
    hashes = {(dataset, sha) for dataset, sha, _ in figures}
    written = []
    for (dataset, sha, ipc), rows in sorted(figures.items()):
        clash = sum(name == dataset for name, _ in hashes) > 1
        stem = f"gallery-{_slug(dataset)}{f'-{_slug(sha[:8])}' if clash else ''}-ipc{ipc}"
        panels = [_panel(row, ipc) for row in rows.values()]
        names = {name for panel in panels for name in panel.class_names}
        with plot_style(names | texts_of(rows.values())):
            written += save(_figure(f"{dataset}, IPC {ipc}", panels), out_dir, stem)
    return written


def with_artefacts(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[str]]:
    """Leave out evaluations whose artefact is damaged, or absent, as records travel without them.

    An artefact is damaged if its sha256 is not the one in its cell's record.

    Returns:
        The evaluations that the gallery can show, with those of whole datasets, and a line for
        each artefact that it cannot show.

    Raises:
        BenchError: if it can show none.
    """
    shown: list[Evaluation] = []
    reasons: dict[str, str | None] = {}
    lines = []
    for row in evaluations:
        path = row.artefact
        if row.ipc is not None and path not in reasons:
            reasons[path] = _why_not_shown(Path(path), row.distil_id)
            if reason := reasons[path]:
                lines.append(
                    f"not shown: {row.method} on {row.dataset} ({row.distil_id}): '{path}' {reason}"
                )
        if row.ipc is None or reasons[path] is None:
            shown.append(row)
    if all(row.ipc is None for row in shown):
        first = f": {lines[0]}" if lines else ""
        raise BenchError(f"none of these results has an artefact to show{first}")
    return shown, lines


def _why_not_shown(artefact: Path, cell_id: str) -> str | None:
    """Return why an artefact cannot be shown; ``None`` if it is what its cell's record says.

    An artefact without a record cannot be checked, and is shown.
    """
    if not artefact.exists():
        return "is not here"
    try:
        record = load_record(artefact.with_name("record.json"), cell_id)
        expected = record.files.get(artefact.name)
        actual = file_sha256(artefact)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"cannot be checked: {error}"
    if actual == expected:
        return None
    return (
        f"is damaged: its sha256 is {actual[:12]}..., its record says "
        f"{f'{expected[:12]}...' if expected else 'that there is none'}"
    )


def _panel(row: Row, ipc: int) -> _Panel:
    from bench.distilled.io import load
    from bench.support.seeds import derive_seed, make_generator

    path = Path(row.artefacts[0])
    distilled = load(path)
    generator = make_generator(derive_seed("gallery", row.dataset))
    try:
        images = distilled.preview(min(ipc, _MOST_IMAGES), generator, _MOST_CLASSES)
    except ValueError as error:
        raise BenchError(f"'{path}' cannot be shown: {error}") from error
    if not images.numel():
        raise BenchError(f"'{path}' cannot be shown: one of its classes has no image")
    names = distilled.spec.class_names or tuple(map(str, range(len(images))))
    changes = [row.profile, row.changed, row.precision if row.precision != "fp32" else ""]
    setting = ", ".join(c for c in changes if c)
    return _Panel(
        f"{row.style.label} ({setting})",
        montage(images.clamp(0, 1).numpy()),
        images.shape[1],
        tuple(drawable(printable(name)[:_LONGEST_NAME]) for name in names[: len(images)]),
        distilled.spec.num_classes,
    )


def montage(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images laid out in a grid on white.

    Args:
        images: float ``(rows, columns, C, H, W)`` in [0, 1], C being 1 or 3.

    Returns:
        float32 ``(height, width, 3)``, with a gap between images.
    """
    import numpy as np

    rows, columns, _, height, width = images.shape
    tall, wide = height + _GAP, width + _GAP
    canvas = np.ones((rows * tall - _GAP, columns * wide - _GAP, 3), dtype=np.float32)
    for i in range(rows):
        for j in range(columns):
            tile = images[i, j].transpose(1, 2, 0)
            canvas[i * tall : i * tall + height, j * wide : j * wide + width] = tile
    return canvas


def _figure(title: str, panels: Sequence[_Panel]) -> Figure:
    from matplotlib.figure import Figure

    columns = max(panel.columns for panel in panels)
    inches = max(panel.inches for panel in panels)
    wide = max(_NARROWEST, columns * inches + 0.15)
    tall = len(panels[0].class_names) * inches + 0.6
    across = max(1, min(len(panels), int(_WIDEST / wide)))
    down = -(-len(panels) // across)
    width = max(4.2, across * wide + 0.9)
    figure = Figure((width, down * tall + 0.3), layout="constrained")
    shown = f"{title}: {plural(columns, 'image')} of {panels[0].classes}, first seed"
    figure.suptitle(
        fill(shown, int(width * _TITLE_LETTERS_PER_INCH)), x=0.01, ha="left", fontsize=9.5
    )
    grid = figure.subplots(down, across, squeeze=False)
    for i, axes in enumerate(grid.flat):
        if i < len(panels):
            _draw(axes, panels[i], letters=int(wide * _LETTERS_PER_INCH), names=i % across == 0)
        else:
            axes.set_visible(False)
    return figure


def _draw(axes: Axes, panel: _Panel, *, letters: int, names: bool) -> None:
    axes.imshow(panel.montage, interpolation="none")
    axes.set_anchor("W")  # titles are wider than a single image, and begin above it
    axes.set_title(fill(panel.title, letters), fontsize=8, loc="left", pad=3)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(length=0)
    count = len(panel.class_names)
    step = (panel.montage.shape[0] + _GAP) / count
    labels = panel.class_names if names else [""] * count
    axes.set_yticks([step * i + (step - _GAP) / 2 - 0.5 for i in range(count)], labels)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
