"""Images of distilled sets, small enough to lie inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ledger.private_paths import without_paths
from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.number_formats import plural
from bench.report.plots.gallery import pictures_of, with_artefacts
from bench.report.row import Row
from bench.support.errors import BenchError
from bench.support.safe_text import printable

_MOST_IMAGES = 5
# About how high an image is on the screen.
_CLASS_PIXELS = 40
# Of all images of a page, as PNG; the rest is left out and said.
_MOST_BYTES = 1_500_000


@dataclass(frozen=True)
class Gallery:
    """Images of one distilled set: a row per class.

    Attributes:
        title: method, dataset and IPC.
        detail: how it was made, where that is not the paper's profile.
        classes: the names of the rows.
        columns: images of a class.
        width: of the picture in pixels of the screen.
        source: the picture as a ``data:`` address.
    """

    title: str
    detail: str
    classes: tuple[str, ...]
    columns: int
    width: int
    source: str


def galleries_of(
    evaluations: Sequence[Evaluation],
) -> tuple[tuple[Gallery, ...], tuple[str, ...]]:
    """Return a gallery for each distilled set of the first seed, and what is not shown.

    Args:
        evaluations: of a store that may hold their artefacts.
    """
    stored = [one for one in evaluations if one.ipc is not None and Path(one.artefact).exists()]
    if not stored:
        return (), ()
    try:
        shown, left_out = with_artefacts(stored)
    except BenchError as error:
        return (), (_public(str(error)),)
    galleries, skipped, used = [], 0, 0
    for row in _one_per_set(collect(shown)):
        try:
            gallery = _gallery(row)
        except BenchError as error:
            left_out.append(str(error))
            continue
        if used + len(gallery.source) > _MOST_BYTES:
            skipped += 1
            continue
        used += len(gallery.source)
        galleries.append(gallery)
    if skipped:
        more = f"{plural(skipped, 'gallery')[:-1]}ies" if skipped > 1 else "1 gallery"
        left_out.append(f"{more} would make the page too large: `bench plot gallery` draws them")
    return tuple(galleries), tuple(map(_public, left_out))


def _public(line: str) -> str:
    return printable(without_paths(line))


def _one_per_set(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield one result per distilled set, small sets first: they are what people compare."""
    seen: set[str] = set()
    for row in sorted(rows, key=lambda row: (row.ipc or 0, row.dataset, row.style.rank)):
        if row.artefacts[0] not in seen:
            seen.add(row.artefacts[0])
            yield row


def _gallery(row: Row) -> Gallery:
    title = f"{row.style.label}, {row.dataset}, IPC {row.ipc}"
    pictures = pictures_of(row, row.ipc or 1, title, _MOST_IMAGES)
    classes, columns, channels, height, width = pictures.images.shape
    pixels = (pictures.images * 255).round().astype("uint8").transpose(0, 3, 1, 4, 2)
    sheet = pixels.reshape(classes * height, columns * width, channels)
    detail = ", ".join(filter(None, (row.profile if row.profile != "any" else "", row.changed)))
    return Gallery(
        title=title,
        detail=printable(detail),
        classes=pictures.class_names,
        columns=columns,
        width=columns * width * max(1, round(_CLASS_PIXELS / height)),
        source=_png(sheet[:, :, 0] if channels == 1 else sheet),
    )


def _png(pixels: Any) -> str:
    """Return uint8 ``(H, W)`` or ``(H, W, 3)`` as an address that holds the picture itself."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
