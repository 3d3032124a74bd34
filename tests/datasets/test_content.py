"""The content of a dataset: what it depends on, and damage that size and time do not show."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_datasets import Npz, make_arrays

from bench.datasets import library
from bench.datasets.content import sha256_with_note
from bench.datasets.packed import write_packed
from bench.support.errors import BenchError


def content(name: str, folder: Path) -> str | None:
    return library.ensure(name, folder).content


def test_the_note_is_no_part_of_it(folder: Path, npz: Npz) -> None:
    first = library.import_file("mine", npz(), folder, note="went through JPEG")
    same = content("mine", folder)
    second = library.import_file("mine", npz(), folder, note="as published", replace=True)
    assert first.sha256 != second.sha256
    assert (
        content("mine", folder) == same == library.open_split("mine", "test", folder, "cpu").sha256
    )


def test_the_file_with_a_former_note_can_be_recognised(folder: Path, npz: Npz) -> None:
    first = library.import_file("mine", npz(), folder, note="went through JPEG")
    second = library.import_file("mine", npz(), folder, note="as published", replace=True)
    assert sha256_with_note(second.path, first.spec.note) == first.sha256
    assert sha256_with_note(second.path, second.spec.note) == second.sha256


@pytest.mark.parametrize("part", ["x_train", "x_test", "y_train", "y_test"])
def test_every_pixel_and_label_is_part_of_it(part: str, folder: Path, npz: Npz) -> None:
    library.import_file("mine", npz(), folder)
    before = content("mine", folder)
    values = getattr(make_arrays(), part).copy()
    values[[0, 1]] = values[[1, 0]]
    library.import_file("mine", npz(**{part: values}), folder, replace=True)
    assert content("mine", folder) != before


def test_the_split_is_part_of_it(folder: Path, npz: Npz) -> None:
    arrays = make_arrays((4, 5, 3), n_train=9, n_test=9)
    parts = {"x_train": arrays.x_train, "y_train": arrays.y_train}
    others = {"x_test": arrays.x_test, "y_test": arrays.y_test}
    library.import_file("mine", npz(**parts, **others), folder)
    before = content("mine", folder)
    swapped = dict(zip((*parts, *others), (*others.values(), *parts.values()), strict=True))
    library.import_file("mine", npz(**swapped), folder, replace=True)
    assert content("mine", folder) != before


@pytest.mark.parametrize("change", [{"flip": True}, {"mean": (0.1,) * 3}, {"std": (0.1,) * 3}])
def test_the_normalisation_is_part_of_it(change: dict[str, object], folder: Path, npz: Npz) -> None:
    packed = library.import_file("mine", npz(), folder)
    before = content("mine", folder)
    packed.path.with_name(f"{packed.path.name}.sha256").unlink()
    write_packed(packed.path, replace(packed.spec, **change), make_arrays())
    assert content("mine", folder) != before


def test_datasets_that_bench_makes_keep_the_identity_of_their_file(data_dir: Path) -> None:
    """Their results, and the seeds of shared work, were recorded with it."""
    digits = library.ensure("digits", data_dir)
    assert digits.content == digits.sha256


def change_pixel(raw: bytearray, start: int) -> None:
    raw[-1] ^= 1


def change_label(raw: bytearray, start: int) -> None:
    """Give the first training image the class of the second."""
    raw[start] = raw[start + 8]


def change_test_label(raw: bytearray, start: int) -> None:
    raw[start + 9 * 8] = raw[start + 10 * 8]


def change_normalisation(raw: bytearray, start: int) -> None:
    place = raw.index(rb"\"mean\":[0.", 0, start) + len(rb"\"mean\":[0.")
    raw[place] = ord("1") if raw[place] != ord("1") else ord("2")


def change_note(raw: bytearray, start: int) -> None:
    place = raw.index(b"by hand", 0, start)
    raw[place] = ord("B")


DAMAGE = [change_pixel, change_label, change_test_label, change_normalisation, change_note]


@pytest.mark.parametrize("used_before", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_with_size_and_time_unchanged_is_named(
    damage: Callable[[bytearray, int], None], used_before: bool, folder: Path, npz: Npz
) -> None:
    path = library.import_file("mine", npz(), folder, note="by hand").path
    if used_before:
        library.open_split("mine", "train", folder, "cpu")
    damage_quietly(path, damage)
    for use in (
        lambda: library.ensure("mine", folder),
        lambda: library.open_split("mine", "train", folder, "cpu"),
    ):
        with pytest.raises(BenchError, match=r"dataset file '.*mine\.safetensors' is damaged: its"):
            use()


def damage_quietly(path: Path, damage: Callable[[bytearray, int], None]) -> None:
    """Change a packed file, but neither its size nor its time."""
    before, raw = path.stat(), bytearray(path.read_bytes())
    damage(raw, 8 + int.from_bytes(raw[:8], "little"))
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"
