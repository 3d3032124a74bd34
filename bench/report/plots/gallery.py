"""The gallery: the images that each method trains networks on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.ledger.record_file import load_record
from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.plots.fonts import drawable, drawable_rows, texts_of
from bench.report.plots.gallery_figure import Pictures, gallery_figure
from bench.report.plots.options import DEFAULT, PlotOptions
from bench.report.plots.style import plot_style, save
from bench.report.row import Row
from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.untrusted import file_sha256

_MOST_CLASSES = 10
_MOST_IMAGES = 10
_LONGEST_NAME = 40


def plot_gallery(
    evaluations: Sequence[Evaluation], out_dir: Path, options: PlotOptions = DEFAULT
) -> list[Path]:
    """Draw distilled images: a figure per dataset and IPC.

    At IPC 1 there is a row per method and a column per class; at others a panel per method, with
    a row per class. The artefact of the first seed is shown. A generator draws its images from a
    fixed seed; a factored set shows its grids as they are stored. Of many classes or images per
    class the first ten are shown.

    Args:
        evaluations: at least one, see :func:`bench.ledger.record_rows.load_rows`.
        out_dir: where ``gallery-DATASET-ipcN.png``, ``.svg`` and ``.pdf`` are written; it is made
            if absent.
        options: the user's.

    Returns:
        The files written.

    Raises:
        BenchError: if an artefact is missing, damaged or has a class without an image, or the size
            that the user chose leaves no room for the images.
    """
    figures: dict[tuple[str, str, int], dict[tuple[str, ...], Row]] = {}
    for row in drawable_rows(collect(evaluations)):
        if row.ipc is not None:
            setting = (row.method, row.profile, row.changed, row.arch, row.precision)
            name = (row.dataset, row.dataset_sha256, row.ipc)
            figures.setdefault(name, {}).setdefault(setting, row)
    hashes = {(dataset, sha) for dataset, sha, _ in figures}
    written = []
    for (dataset, sha, ipc), by_setting in sorted(figures.items()):
        clash = sum(name == dataset for name, _ in hashes) > 1
        stem = f"gallery-{_slug(dataset)}{f'-{_slug(sha[:8])}' if clash else ''}-ipc{ipc}"
        rows = list(by_setting.values())
        labels, common = _labels(rows)
        pictures = [pictures_of(row, ipc, label) for row, label in zip(rows, labels, strict=True)]
        names = {name for each in pictures for name in each.class_names}
        with plot_style(names | texts_of(rows), options):
            figure = gallery_figure(f"{dataset}, IPC {ipc}", common, pictures, options)
            written += save(figure, out_dir, stem)
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


def _labels(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return each result's label, with what tells it from others, and what all have in common."""
    common = []
    profiles = {row.profile for row in rows} - {"any"}
    precisions = {row.precision for row in rows}
    if len(profiles) == 1:
        common.append(f"profile {next(iter(profiles))}")
    if precisions not in ({"fp32"}, set()) and len(precisions) == 1:
        common.append(next(iter(precisions)))
    archs = {(row.method, row.arch) for row in rows}
    twice = [method for method, _ in archs]
    labels = []
    for row in rows:
        details = [
            row.profile if len(profiles) > 1 and row.profile != "any" else "",
            row.changed,
            row.precision if len(precisions) > 1 else "",
            f"with {row.arch}" if row.arch and twice.count(row.method) > 1 else "",
        ]
        detail = ", ".join(filter(None, details))
        labels.append(f"{row.style.label} ({detail})" if detail else row.style.label)
    return labels, common


def pictures_of(row: Row, ipc: int, label: str, most: int = _MOST_IMAGES) -> Pictures:
    """Return the images of a result's first distilled set.

    Args:
        row: the result.
        ipc: its images per class.
        label: over the images.
        most: images of each class, at most.

    Raises:
        BenchError: if the artefact cannot be read, or has a class without an image.
    """
    from bench.distilled.io import load
    from bench.support.seeds import derive_seed, make_generator

    path = Path(row.artefacts[0])
    distilled = load(path)
    generator = make_generator(derive_seed("gallery", row.dataset))
    try:
        images = distilled.preview(min(ipc, most), generator, _MOST_CLASSES)
    except ValueError as error:
        raise BenchError(f"'{path}' cannot be shown: {error}") from error
    if not images.numel():
        raise BenchError(f"'{path}' cannot be shown: one of its classes has no image")
    names = distilled.spec.class_names or tuple(map(str, range(len(images))))
    return Pictures(
        label,
        images.clamp(0, 1).numpy(),
        tuple(drawable(printable(name)[:_LONGEST_NAME]) for name in names[: len(images)]),
        distilled.spec.num_classes,
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
