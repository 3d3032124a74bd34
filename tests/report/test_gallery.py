"""Galleries of distilled images, and texts of any script in plots."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from gallery_rows import gallery_cell
from matplotlib.image import imread
from record_builders import distil_json, hashed
from report_rows import evaluation

from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.report.plots import PLOTS
from bench.report.plots.fonts import drawable, families
from bench.report.plots.gallery import plot_gallery, with_artefacts
from bench.report.plots.gallery_figure import Pictures, gallery_figure, montage
from bench.report.plots.options import PlotOptions
from bench.report.plots.style import plot_style
from bench.support.errors import BenchError
from bench.support.untrusted import file_sha256


def test_montage_places_every_image() -> None:
    images = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1, 1) / 10 * np.ones((1, 1, 1, 4, 4))
    canvas = montage(images)
    assert canvas.shape == (2 * 4 + 2, 3 * 4 + 2 * 2, 3)
    assert canvas[0, 0, 0] == pytest.approx(0.0)
    assert canvas[9, 13, 2] == pytest.approx(0.5)
    assert canvas[4, 0, 0] == canvas[0, 4, 0] == 1.0


def test_gallery_has_a_figure_per_ipc_the_same_twice(tmp_path: Path) -> None:
    cells = [gallery_cell(tmp_path, m, i) for m in ("random", "dm") for i in (1, 12)]
    shown = [*cells, evaluation(dataset="toy", method="whole", ipc=None, artefact="absent")]
    first, second = (plot_gallery(shown, tmp_path / name) for name in "ab")
    assert [path.name for path in first] == [
        f"gallery-toy-ipc{ipc}.{suffix}" for ipc in (1, 12) for suffix in ("png", "svg", "pdf")
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize("ipc", [1, 3])
@pytest.mark.parametrize("side", [8, 32, 128])
def test_large_images_keep_their_pixels(tmp_path: Path, side: int, ipc: int) -> None:
    """Images of stripes, each a pixel wide, have as many edges in the picture."""
    png, *_ = plot_gallery([gallery_cell(tmp_path, "dm", ipc, side=side)], tmp_path)
    picture = imread(png)[..., 0]
    edges = (abs(picture[:, 1:] - picture[:, :-1]) > 0.5).sum(1).max()
    across = 3 if ipc == 1 else ipc  # a column per class, or per image
    assert edges >= across * (side - 2)


@pytest.mark.parametrize("width", [None, 3.3])
def test_labels_of_a_gallery_of_one_image_do_not_overlap(width: float | None) -> None:
    images = np.zeros((3, 1, 1, 8, 8), dtype=np.float32)
    pictures = [
        Pictures(f"DM (custom, lite: a_long_parameter=0.{i}, bf16)", images, ("a", "b", "c"), 3)
        for i in range(4)
    ]  # fmt: skip
    with plot_style():
        figure = gallery_figure("toy", [], pictures, PlotOptions(width=width))
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0


@pytest.mark.parametrize(("width", "across"), [(3.3, 1), (5.0, 2), (12.0, 4)])
def test_panels_fill_the_width_that_was_asked_for(width: float, across: int) -> None:
    images = np.zeros((10, 10, 1, 16, 16), dtype=np.float32)
    pictures = [Pictures(f"DM {i}", images, tuple("0123456789"), 10) for i in range(4)]
    with plot_style():
        figure = gallery_figure("toy", [], pictures, PlotOptions(width=width))
        figure.draw_without_rendering()
        boxes = [axes.get_window_extent() for axes in figure.axes[:4]]
    assert sum(abs(box.y0 - boxes[0].y0) < 1 for box in boxes) == across
    assert max(box.x1 for box in boxes) > 0.8 * figure.bbox.width


def test_what_has_no_artefact_is_left_out_by_name(tmp_path: Path) -> None:
    gone = {"artefact": str(tmp_path / "gone"), "dataset": "toy", "method": "dm"}
    cells = [
        gallery_cell(tmp_path, "random", 1),
        *(evaluation(**gone, ipc=i, distil_id="d1", cell_id=f"e{i}") for i in (1, 10)),
        evaluation(dataset="toy", method="whole", ipc=None, artefact="absent"),
    ]
    kept, lines = with_artefacts(cells)
    assert [row.method for row in kept] == ["random", "whole"]
    assert lines == [f"not shown: dm on toy (d1): '{tmp_path / 'gone'}' is not here"]
    assert len(plot_gallery(kept, tmp_path)) == 3
    for rest in (cells[1:], cells[3:]):
        with pytest.raises(BenchError, match="none of these results has an artefact to show"):
            with_artefacts(rest)


def test_a_damaged_artefact_is_left_out_by_name(tmp_path: Path) -> None:
    cell = gallery_cell(tmp_path, "dm", 1)
    artefact = tmp_path / "store" / "artefact.safetensors"
    artefact.parent.mkdir()
    artefact.write_bytes(Path(cell.artefact).read_bytes())
    data = distil_json()
    result = {**data["result"], "artefact_sha256": file_sha256(artefact)}
    record = hashed({**data, "result": result}, method="dm")
    artefact.with_name("record.json").write_text(json.dumps(record.to_json()))
    row = replace(cell, artefact=str(artefact), distil_id=record.id)
    assert with_artefacts([row]) == ([row], [])
    content = bytearray(artefact.read_bytes())
    content[-1] ^= 1
    artefact.write_bytes(content)
    other = gallery_cell(tmp_path, "random", 1)
    shown, (line,) = with_artefacts([row, other])
    assert shown == [other]
    assert f"not shown: dm on toy ({record.id}): '{artefact}' is damaged: its sha256 is" in line
    artefact.with_name("record.json").write_text("{")
    _, (line,) = with_artefacts([row, other])
    assert "cannot be checked" in line


def test_gallery_names_a_missing_artefact(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"gone\.safetensors"):
        plot_gallery([evaluation(artefact=str(tmp_path / "gone.safetensors"))], tmp_path)


SCRIPTS = ("猫", "zebra 🦓", "собака", "كلب", "कुत्ता", "ё\u0301", "𝔘", "plain")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["accuracy", "cost", "gallery"])
def test_texts_of_any_script_are_drawn_without_a_warning(tmp_path: Path, kind: str) -> None:
    spec = DatasetSpec("toy", len(SCRIPTS), 1, 8, 8, (0.5,), (0.5,), False, SCRIPTS)
    images = torch.zeros(len(SCRIPTS), 1, 8, 8)
    save(ImageSet(spec, images, torch.arange(len(SCRIPTS)), {}), tmp_path / "a.safetensors")
    names = {
        "dataset": "犬と猫",
        "dataset_note": "🦓 कुत्ता",
        "method": "метод-法",
        "profile": "lite",
    }
    row = evaluation(**names, ipc=1, artefact=str(tmp_path / "a.safetensors"))
    files = PLOTS[kind]([row], tmp_path / "plots")
    assert all(path.stat().st_size > 2000 for path in files)


def test_what_no_font_has_is_escaped_and_all_else_stays() -> None:
    lacking = next(c for c in ("\U0001f993", "\ue000", "\U0010fffd") if drawable(c) != c)
    assert drawable(f"Größe ± {lacking}") == (
        "Größe ± " + lacking.encode("unicode_escape").decode("ascii")
    )
    assert families(["Größe", "plain"]) == ["DejaVu Sans"]


def test_a_font_that_has_the_glyph_is_used() -> None:
    # A letter that DejaVu Sans lacks and that another font of matplotlib's own has.
    letter = next(chr(i) for i in range(0xE000, 0xE300) if drawable(chr(i)) == chr(i)
                  and len(families([chr(i)])) == 2)  # fmt: skip
    main, other = families([letter])
    assert main == "DejaVu Sans"
    assert not other.startswith("Last Resort")
