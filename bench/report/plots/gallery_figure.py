"""The layout of a gallery: methods by classes, or a panel of classes by images per method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from textwrap import fill
from typing import TYPE_CHECKING

from bench.report.number_formats import plural
from bench.report.plots.layout import add_title, fit_height
from bench.report.plots.options import PlotOptions
from bench.report.plots.style import LEGEND, TICK

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# White pixels between images, and between the methods of a gallery of one image per class.
_GAP = 2
# An image is at least so wide, and wide enough for all its pixels in a PNG.
_LEAST_INCHES, _DOTS_PER_INCH = 0.26, 200
# In inches: a panel of one image, whose title is wider; all panels of a line; a figure.
_NARROWEST, _WIDEST, _LEAST_WIDTH = 1.02, 12.5, 3.0
# A label beside the images takes no more than this share of a width that the user chose.
_MOST_BESIDE = 0.3
# The least letters of a label's line, and a line's height in letters.
_LABEL_LETTERS, _LINE = 24, 1.25


@dataclass(frozen=True)
class Pictures:
    """Images of one distilled set.

    Attributes:
        label: names the method and what tells it from others of the figure.
        images: float32 ``(classes, images, C, H, W)`` in [0, 1], C being 1 or 3.
        class_names: of the classes shown.
        num_classes: of the dataset.
    """

    label: str
    images: NDArray[np.float32]
    class_names: tuple[str, ...]
    num_classes: int

    @property
    def classes(self) -> str:
        """Return which classes are shown, in words."""
        shown = len(self.class_names)
        return "each class" if shown == self.num_classes else f"each of the first {shown} classes"


def gallery_figure(
    name: str, common: Sequence[str], pictures: Sequence[Pictures], options: PlotOptions
) -> Figure:
    """Return a gallery, to be called inside :func:`plot_style`.

    Args:
        name: of dataset and IPC.
        common: what all of the distilled sets have in common, in words.
        pictures: of each distilled set, of the same classes.
        options: the user's.

    Raises:
        BenchError: if the size that the user chose leaves no room for the images.
    """
    most = max(each.images.shape[1] for each in pictures)
    notes = [f"{plural(most, 'image')} of {pictures[0].classes}", "first seed", *common]
    draw = _methods_by_classes if most == 1 else _panel_per_method
    figure, panels, down, height = draw(pictures, options)
    add_title(figure, options, name, ", ".join(notes))
    fit_height(figure, panels, down, options, height)
    return figure


def _methods_by_classes(
    pictures: Sequence[Pictures], options: PlotOptions
) -> tuple[Figure, list[Axes], int, float]:
    """Return a figure of one panel: a row per method, a column per class; and its height."""
    import numpy as np
    from matplotlib.figure import Figure

    classes = len(pictures[0].class_names)
    side, texts = _natural_inches(pictures), [each.label for each in pictures]
    rows = max(1, int(side * 72 / (options.font_size * _LINE)))
    letters = next(n for n in count(_LABEL_LETTERS) if _most_lines(texts, n) <= rows)
    beside = max(_widest(texts, letters)) / options.letters(1.0) + 0.2
    width = options.width or max(_LEAST_WIDTH, beside + classes * side)
    if options.width is not None:
        beside = min(beside, _MOST_BESIDE * width)
        letters = options.letters(beside)
        side = (width - beside) / classes
    figure = Figure((width, len(pictures) * side), layout="constrained")
    axes = figure.subplots()
    canvas = montage(np.concatenate([each.images[:, 0][None] for each in pictures]))
    axes.imshow(canvas, interpolation="none")
    _bare(axes)
    axes.set_anchor("NW")
    _ticks(axes.set_yticks, canvas.shape[0], [fill(text, letters) for text in texts])
    fitting = side * 72 / (_LINE * _most_lines(texts, letters))
    axes.tick_params(axis="y", labelsize=min(options.font_size * TICK, fitting))
    names = [fill(name, options.letters(side)) for name in pictures[0].class_names]
    axes.xaxis.tick_top()
    turned = max(map(len, pictures[0].class_names)) > int(side * options.letters(1.0))
    _ticks(axes.set_xticks, canvas.shape[1], list(pictures[0].class_names) if turned else names)
    if turned:
        axes.tick_params(axis="x", labelrotation=90)
    return figure, [axes], 1, len(pictures) * side


def _most_lines(texts: Sequence[str], letters: int) -> int:
    return max(fill(text, letters).count("\n") + 1 for text in texts)


def _widest(texts: Sequence[str], letters: int) -> list[int]:
    return [max(map(len, fill(text, letters).split("\n"))) for text in texts]


def _panel_per_method(
    pictures: Sequence[Pictures], options: PlotOptions
) -> tuple[Figure, list[Axes], int, float]:
    """Return a figure of a panel per method, with its panels, lines, and the height of a panel."""
    from matplotlib.figure import Figure

    columns = max(each.images.shape[1] for each in pictures)
    side = _natural_inches(pictures)
    beside = min(20, max(map(len, pictures[0].class_names))) / options.letters(1.0) + 0.2
    room = (options.width or _WIDEST) - beside
    wide = max(_NARROWEST, columns * side + 0.15)
    across = max(1, min(len(pictures), int(room / wide)))
    if options.width is not None:  # images may be smaller, so that less of it stays empty
        across = max(1, min(len(pictures), round(room / wide)))
        side = min(side, (room / across - 0.15) / columns)
        wide = max(_NARROWEST, columns * side + 0.15)
    down = -(-len(pictures) // across)
    width = options.width or max(_LEAST_WIDTH, across * wide + beside + 0.1)
    height = len(pictures[0].class_names) * side
    figure = Figure((width, down * height), layout="constrained")
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in every[len(pictures) :]:
        axes.set_visible(False)
    panels = every[: len(pictures)]
    for i, (axes, each) in enumerate(zip(panels, pictures, strict=True)):
        canvas = montage(each.images)
        axes.imshow(canvas, interpolation="none")
        _bare(axes)
        axes.set_anchor("NW")  # titles are wider than a single image, and begin above it
        axes.set_title(
            fill(each.label, options.letters(wide, LEGEND)), loc="left", pad=3,
            fontsize=options.font_size * LEGEND,
        )  # fmt: skip
        first = i % across == 0
        names = [fill(name, 20) if first else "" for name in each.class_names]
        _ticks(axes.set_yticks, canvas.shape[0], names)
    return figure, panels, down, height


def _natural_inches(pictures: Sequence[Pictures]) -> float:
    """Return how wide an image is drawn, the gap beside it included."""
    pixels: int = max(each.images.shape[-1] for each in pictures) + _GAP
    return max(_LEAST_INCHES, pixels / _DOTS_PER_INCH)


def _bare(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0)


def _ticks(
    place: Callable[[list[float], list[str]], object], pixels: int, names: list[str]
) -> None:
    """Write names in the middle of the rows or the columns of a montage."""
    step = (pixels + _GAP) / len(names)
    place([step * i + (step - _GAP) / 2 - 0.5 for i in range(len(names))], names)


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
