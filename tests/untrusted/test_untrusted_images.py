"""Folders of images that someone sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_files import PICKLES, in_small_memory, write_png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.datasets.image_folder import read_folder
from bench.datasets.source import no_progress
from bench.support.errors import BenchError


def make_tree(root: Path) -> Path:
    """Write two classes of grey images, one for training and one for testing each."""
    for part in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            pixels = np.arange(15, dtype=np.uint8).reshape(3, 5) + label
            Image.fromarray(pixels).save(root / part / name / "0.png")
    return root


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The first image of a good tree."""
    return make_tree(tmp_path) / "train" / "cat" / "0.png"


def refused(image: Path) -> str:
    with pytest.raises(BenchError) as caught:
        read_folder(image.parents[2], None, no_progress)
    assert str(image) in str(caught.value)
    return str(caught.value)


# Encapsulated PostScript: Pillow would start Ghostscript to draw it.
POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 5 3
%%EndComments
(MARKER) (w) file closefile
%%EOF
"""


def test_only_plain_image_formats_are_decoded(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = image.parents[2] / "executed"
    tools = image.parents[2] / "tools"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    image.write_bytes(POSTSCRIPT.replace(b"MARKER", os.fsencode(marker)))
    with Image.open(image) as opened:  # the danger is a real one
        assert opened.format == "EPS"
    assert "cannot be read as an image" in refused(image)
    assert not marker.exists()


@pytest.mark.parametrize("format_", ["PCX", "TGA", "ICO", "SGI", "PDF"])
def test_other_formats_under_an_image_name(image: Path, format_: str) -> None:
    Image.new("RGB", (5, 3)).save(image, format=format_)
    assert "cannot be read as an image" in refused(image)


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_is_not_opened(image: Path, write: Callable[[Path, Path], None]) -> None:
    marker = image.parents[2] / "executed"
    write(image, marker)
    assert "cannot be read as an image" in refused(image)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (50_000, 50_000, "cannot be read as an image"),
        (13_000, 13_000, "13000x13000: more than the 4,194,304 pixels that are allowed"),
        (2**31 - 1, 1, "cannot be read as an image"),
        (0, 0, "cannot be read as an image"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_bomb(image: Path, width: int, height: int, words: str) -> None:
    write_png(image, width, height)
    assert words in refused(image)


def test_image_bombs_are_not_unpacked(tmp_path: Path) -> None:
    trees = []
    for i, size in enumerate([(50_000, 50_000), (13_000, 13_000), (9_000, 9_000)]):
        trees.append(make_tree(tmp_path / str(i)))
        write_png(trees[-1] / "train" / "cat" / "0.png", *size)
    imports = "PIL.Image,bench.datasets.image_folder"
    answers = in_small_memory("bad_files:read_images", trees, imports=imports, spare=128 * 2**20)
    assert all(answer.startswith("BenchError: ") for answer in answers)


def test_what_is_no_file_is_not_waited_for(image: Path) -> None:
    image.unlink()
    os.mkfifo(image)
    assert "it is a pipe or a device" in refused(image)
    image.unlink()
    image.symlink_to("/dev/zero")
    assert "it is a pipe or a device" in refused(image)


@settings(max_examples=60)
@given(
    format_=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP"]),
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=4),
    kept=st.none() | st.integers(0),
)
@pytest.mark.filterwarnings("ignore")
def test_any_damage_is_refused_or_an_image(
    tmp_path_factory: pytest.TempPathFactory,
    format_: str,
    flips: list[tuple[int, int]],
    kept: int | None,
) -> None:
    image = make_tree(tmp_path_factory.mktemp("damage")) / "train" / "cat" / "0.png"
    pixels = np.arange(45, dtype=np.uint8).reshape(3, 5, 3)
    Image.fromarray(pixels).save(image, format=format_)
    raw = bytearray(image.read_bytes())
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    image.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    try:
        arrays, names = read_folder(image.parents[2], None, no_progress)
    except BenchError:
        return
    assert arrays.x_train.dtype == np.uint8
    assert names == ("cat", "dog")
