"""Reading .npz files: good ones come in, every kind of bad one is refused by name."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_datasets import Npz, make_arrays

from bench.datasets import npz_file
from bench.datasets.npz_file import read_npz
from bench.support.errors import BenchError
from bench.support.untrusted import Limit


@pytest.mark.parametrize("compressed", [False, True])
def test_four_arrays_come_in(tmp_path: Path, compressed: bool) -> None:
    good = make_arrays()
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "a.npz", **vars(good), extra=np.zeros(3))
    read = read_npz(tmp_path / "a.npz")
    for key, value in vars(good).items():
        assert np.array_equal(getattr(read, key), value)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_may_be_any_integer(npz: Npz, dtype: type[np.generic]) -> None:
    read = read_npz(npz(y_train=make_arrays().y_train.astype(dtype)))
    assert np.array_equal(read.y_train, make_arrays().y_train)


GREY = np.zeros((9, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "lacks y_test: expected x_train, y_train, .* found x_test, x_train"),
        ({"x_train": GREY.astype(np.float32)}, "x_train is float32: images must be uint8"),
        ({"x_train": GREY.astype(np.int64)}, "x_train is int64: images must be uint8"),
        ({"x_train": GREY[0]}, r"x_train has shape \(4, 5\): expected \(N, H, W\)"),
        ({"x_train": np.zeros((9, 3, 4, 5), np.uint8)}, "looks like .N, C, H, W.: transpose"),
        ({"x_train": np.zeros((9, 4, 5, 4), np.uint8)}, "with C 1 or 3"),
        ({"x_train": GREY[:0], "y_train": np.zeros(0, int)}, "it holds no pixels"),
        ({"y_train": np.zeros(9)}, "y_train is float64: labels must be whole numbers"),
        ({"y_train": np.zeros(9, bool)}, "y_train is bool"),
        ({"y_train": np.array(list("abcabcabc"))}, "y_train is <U1"),
        ({"y_train": np.zeros((9, 1), int)}, r"y_train has shape \(9, 1\): expected \(9,\)"),
        ({"y_train": np.zeros(8, int)}, "one label for each image"),
        ({"y_test": np.array([0, 1, 2, 0, 1, -1])}, "y_test holds the label -1: labels start at 0"),
    ],
)
def test_wrong_arrays_are_named(npz: Npz, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read_npz(npz(**change))


def test_pickled_objects_are_never_loaded(npz: Npz) -> None:
    path = npz(y_train=np.array([Trap()] * 9, dtype=object))
    with pytest.raises(BenchError, match=r"y_train .* holds Python objects.*never loaded"):
        read_npz(path)
    assert not Trap.sprung


class Trap:
    """Tells if it was ever unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("kept", [0, 10, 500, -1])
def test_a_cut_file_is_refused(npz: Npz, kept: int) -> None:
    path = npz()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BenchError, match=r"tiny.npz' is not a whole .npz file"):
        read_npz(path)


def test_a_flipped_bit_is_refused(npz: Npz) -> None:
    path = npz()
    raw = bytearray(path.read_bytes())
    raw[300] ^= 1  # among the pixels of x_train
    path.write_bytes(raw)
    with pytest.raises(BenchError, match=r"is not a whole .npz file: Bad CRC-32"):
        read_npz(path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(BenchError, match=r"not a whole .npz file: File is not a zip file"):
        read_npz(tmp_path / "a.npy")


def test_a_header_that_announces_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    header = BytesIO()
    npz_file.npy.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 1000, 1000)}
    )
    with pytest.raises(BenchError, match=r"x_train in .* is cut short or damaged"):
        read_npz(_archive(tmp_path, header.getvalue() + b"few"))


def test_too_many_bytes_are_refused(npz: Npz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limit, "IMPORT_BYTES", 1000)
    with pytest.raises(BenchError, match=r"would unpack .* to 1,532 bytes: at most 1,000"):
        read_npz(npz())


def test_an_unknown_npy_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"npy format \(9, 0\): expected 1.0 or 2.0"):
        read_npz(_archive(tmp_path, b"\x93NUMPY\x09\x00" + b" " * 100))


def test_an_encrypted_archive_is_refused(npz: Npz) -> None:
    path = npz()
    raw = path.read_bytes()
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = raw.index(signature) + offset
        raw = raw[:start] + b"\x01" + raw[start + 1 :]
    path.write_bytes(raw)
    with pytest.raises(BenchError, match="is encrypted"):
        read_npz(path)


def _archive(folder: Path, x_train: bytes) -> Path:
    path = folder / "tiny.npz"
    arrays = vars(make_arrays())
    np.savez(path, **{k: v for k, v in arrays.items() if k != "x_train"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", x_train)
    return path
