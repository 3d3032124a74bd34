"""Reading folders of images: classes, order, colour, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_datasets import make_spec

from bench.datasets.image_folder import read_folder
from bench.datasets.source import no_progress
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError
from bench.support.untrusted import Limit


def test_pixels_labels_and_names_come_in(tree: Path) -> None:
    arrays, names = read_folder(tree, None, no_progress)
    assert names == ("cat", "dog")
    assert arrays.counts == (4, 2)
    assert arrays.x_train.shape == (4, 3, 5)
    assert arrays.y_train.tolist() == [0, 0, 1, 1]
    assert arrays.x_train[:, 0, 0].tolist() == [0, 1, 10, 11]
    assert arrays.x_test[:, 0, 0].tolist() == [100, 110]


def test_progress_is_told(tree: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    read_folder(tree, None, lambda *args: told.append(args))
    assert told == [("reading train", 4, 4), ("reading test", 2, 2)]


def test_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in range(11):
            _save(tmp_path / part / str(name) / "a.png", name)
    arrays, names = read_folder(tmp_path, None, no_progress)
    assert names == tuple(map(str, range(11)))
    assert arrays.x_train[:, 0, 0].tolist() == list(range(11))


def test_a_known_dataset_takes_labels_from_its_class_names(tree: Path) -> None:
    known = make_spec((3, 5), 2, class_names=("dog", "cat"))
    arrays, names = read_folder(tree, known, no_progress)
    assert names == ("dog", "cat")
    assert arrays.x_train[:, 0, 0].tolist() == [10, 11, 0, 1]


def test_a_known_dataset_refuses_other_classes(tree: Path) -> None:
    known = make_spec((3, 5), 2, class_names=("dog", "frog"))
    with pytest.raises(BenchError, match=r"\(cat, dog, ...\) are not those of 'tiny': name them"):
        read_folder(tree, known, no_progress)


def test_grey_becomes_rgb_beside_rgb_and_for_a_known_rgb_dataset(tree: Path) -> None:
    known = make_spec((3, 5, 3), 2, class_names=("cat", "dog"))
    assert read_folder(tree, known, no_progress)[0].x_train.shape == (4, 3, 5, 3)
    _save(tree / "test/cat/1.png", (7, 8, 9))
    arrays, _ = read_folder(tree, None, no_progress)
    assert arrays.x_train.shape == (4, 3, 5, 3)
    assert arrays.x_test[:, 0, 0].tolist() == [[100] * 3, [7, 8, 9], [110] * 3]


def test_hidden_files_are_ignored_and_palettes_become_rgb(tree: Path) -> None:
    (tree / "train/.DS_Store").write_text("x")
    (tree / "train/cat/.DS_Store").write_text("x")
    Image.new("RGB", (5, 3), (1, 2, 3)).quantize(2).save(tree / "train/cat/0.png")
    arrays, _ = read_folder(tree, None, no_progress)
    assert arrays.x_train[0, 0, 0].tolist() == [1, 2, 3]


def test_what_is_wrong_is_named(tree: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(BenchError, match=message):
            read_folder(tree, None, no_progress)

    _save(tree / "train/cat/2.png", 0, size=(6, 3))
    refused("cat/2.png' is 3x6, the first image is 3x5")
    Image.new("RGBA", (5, 3)).save(tree / "train/cat/2.png")
    refused("cat/2.png' is of mode RGBA: expected 8-bit grey or RGB")
    Image.new("I;16", (5, 3)).save(tree / "train/cat/2.png")
    refused("is of mode I;16")
    (tree / "train/cat/2.png").write_bytes((tree / "train/cat/1.png").read_bytes()[:-30])
    refused("cat/2.png' cannot be read as an image")
    (tree / "train/cat/2.png").write_text("no image")
    refused("cat/2.png' cannot be read as an image")
    (tree / "train/cat/2.png").rename(tree / "train/cat/2.txt")
    refused("2.txt' is not an image: allowed are .png")
    (tree / "train/cat/2.txt").unlink()
    (tree / "train/bird").mkdir()
    refused("train and test must have the same classes; not so: bird")
    (tree / "test/bird").mkdir()
    refused("class 'bird' is empty: '.*train/bird' holds no images")


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="has no folder 'train': expected train/CLASS"):
        read_folder(tmp_path, None, no_progress)
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(BenchError, match="train' holds no class folders"):
        read_folder(tmp_path, None, no_progress)


def test_too_many_bytes_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limit, "IMPORT_BYTES", 200)
    with pytest.raises(BenchError, match="6 images of 3x5 are 270 bytes: at most 200"):
        read_folder(tree, None, no_progress)


def _save(path: Path, value: int | tuple[int, ...], size: tuple[int, int] = (5, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], *np.shape(value)), value, np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of grey 3x5 images, two for training and one for testing each."""
    for label, name in enumerate(("cat", "dog")):
        for i in range(2):
            _save(tmp_path / "train" / name / f"{i}.png", 10 * label + i)
        _save(tmp_path / "test" / name / "0.png", 100 + 10 * label)
    return tmp_path


def _report(tree: Path, known: DatasetSpec | None = None) -> list[str]:
    lines: list[str] = []
    read_folder(tree, known, no_progress, lines.append)
    return lines


def test_what_an_operating_system_leaves_is_passed_over(tree: Path) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (tree / "train/cat" / name).write_bytes(b"x")
        (tree / "train" / name).write_bytes(b"x")
    (tree / "train/__MACOSX").mkdir()
    assert _report(tree) == []


def test_what_is_not_read_is_reported(tree: Path) -> None:
    (tree / "val").mkdir()
    (tree / "train/README.txt").write_text("x")
    (line,) = _report(tree)
    assert "not read" in line
    assert "train/README.txt, val" in line


def test_an_image_outside_the_class_folders_is_refused(tree: Path) -> None:
    _save(tree / "train/stray.png", 1)
    with pytest.raises(BenchError, match=r"stray\.png' is in no class folder"):
        read_folder(tree, None, no_progress)


def test_names_that_unicode_writes_in_two_ways_are_one(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    for part, name in (("train", composed), ("test", apart)):
        _save(tmp_path / part / name / "a.png", 1)
        _save(tmp_path / part / "b" / "a.png", 2)
    _, names = read_folder(tmp_path, None, no_progress)
    assert names == ("b", composed)
    known = make_spec((3, 5), 2, class_names=(apart, "b"))
    assert read_folder(tmp_path, known, no_progress)[1] == (composed, "b")
    _save(tmp_path / "train" / apart / "a.png", 1)
    with pytest.raises(BenchError, match="the same name but for how Unicode writes it"):
        read_folder(tmp_path, None, no_progress)


def test_conversions_are_counted(tree: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("L", (5, 3)).save(tree / "train/cat/turned.png", exif=exif)
    (line,) = _report(tree)
    assert line == "1 of 7 files: images turned upright as their EXIF orientation says"
