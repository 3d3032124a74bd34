"""Archives that someone sent: nothing is unpickled, nothing unpacks to more than it should."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_files import PICKLES, Bomb, in_small_memory
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.datasets import library
from bench.datasets.npz_file import read_npz
from bench.datasets.source import Arrays
from bench.support.errors import BenchError

KEYS = ("x_train", "y_train", "x_test", "y_test")


def good() -> dict[str, bytes]:
    """Return the members of a small dataset."""
    arrays = {
        "x_train": np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3),
        "y_train": np.array([0, 1, 0, 1]),
        "x_test": np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3),
        "y_test": np.array([0, 1]),
    }
    return {f"{key}.npy": npy(array) for key, array in arrays.items()}


def npy(array: Any) -> bytes:
    """Return an array as ``numpy.save`` writes it, pickled objects too."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def npy_header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the start of an ``.npy`` whose header is ``text``."""
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text.encode("latin1")


def write(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def lie(path: Path, name: str, size: int) -> None:
    """Make both headers of a member claim a size that it has not."""
    raw = bytearray(path.read_bytes())
    for signature, name_at, size_at in ((b"PK\x03\x04", 30, 22), (b"PK\x01\x02", 46, 24)):
        start = raw.find(signature)
        while raw[start + name_at : start + name_at + len(name)] != name.encode():
            start = raw.index(signature, start + 1)
        raw[start + size_at : start + size_at + 4] = struct.pack("<I", size)
    path.write_bytes(raw)


def refused(path: Path, words: str = "") -> None:
    with pytest.raises(BenchError) as caught:
        read_npz(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


@pytest.mark.parametrize("pack", PICKLES)
def test_a_pickle_is_not_opened(path: Path, pack: Callable[[Path, Path], None]) -> None:
    marker = path.parent / "executed"
    pack(path, marker)
    refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("key", KEYS)
def test_objects_are_not_unpickled(path: Path, key: str) -> None:
    marker = path.parent / "executed"
    bombs = np.array([Bomb(marker)] * 4, dtype=object)
    refused(write(path, {**good(), f"{key}.npy": npy(bombs)}), "holds Python objects")
    # A member of nearly the same name, which numpy itself would take instead.
    assert read_npz(write(path, {**good(), key: npy(bombs)})).y_train.tolist() == [0, 1, 0, 1]
    structured = np.zeros(4, dtype=[("a", "u1"), ("b", object)])
    refused(write(path, {**good(), f"{key}.npy": npy(structured)}), "holds Python objects")
    assert not marker.exists()


def test_names_that_lead_elsewhere_write_nothing(path: Path) -> None:
    evil = dict.fromkeys(("../../evil", "/tmp/evil", "..\\evil", "x/../../evil"), b"evil")
    before = sorted(path.parent.parent.rglob("*evil*"))
    read_npz(write(path, {**good(), **evil}))
    assert sorted(path.parent.parent.rglob("*evil*")) == before
    members = {f"../{name}": data for name, data in good().items()}
    refused(write(path, members), "lacks x_train")


HEADERS = {
    "a petabyte": "{'descr': '|u1', 'fortran_order': False, 'shape': (2**50,)}",
    "a petabyte in words": "{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624,)}",
    "sizes below none": "{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -18)}",
    "a huge size and none": f"{{'descr': '|u1', 'fortran_order': False, 'shape': (0, {10**30})}}",
    "a huge item": "{'descr': '|S99999999999', 'fortran_order': False, 'shape': (1,)}",
    "a thousand dimensions": f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(1,) * 1000}}}",
    "code": "__import__('os').mkdir('/tmp/executed')",
    "code in a field": "{'descr': open('/etc/passwd'), 'fortran_order': False, 'shape': (1,)}",
    "deep": "[" * 9000 + "]" * 9000,
    "deep signs": "-" * 9000 + "1",
    "a type that is none": "{'descr': 'zz', 'fortran_order': False, 'shape': (1,)}",
    "a nested type": "{'descr': [('a', [('b', '|O')])], 'fortran_order': False, 'shape': (1,)}",
    "a missing field": "{'descr': '|u1', 'shape': (1,)}",
    "a list": "[1]",
    "zeros": "\0" * 500,
}


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("header", HEADERS)
def test_an_array_header_that_lies(path: Path, header: str, version: tuple[int, int]) -> None:
    raw = npy_header(HEADERS[header] + "\n", version) + bytes(36)
    refused(write(path, {**good(), "x_train.npy": raw}))


def test_other_ways_to_pack_are_refused(path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(write(path, good(), method), "packed in a way that numpy does not use")


def test_a_directory_that_claims_too_little_or_too_much(path: Path) -> None:
    for size in (0, 10, 2**31, 2**32 - 2):
        lie(write(path, good()), "x_train.npy", size)
        refused(path)


def test_what_is_no_file(path: Path) -> None:
    os.mkfifo(path)
    refused(path, "it is a pipe or a device")
    with pytest.raises(BenchError, match=r"is neither an .npz file nor a folder"):
        library.import_file("mine", path, path.parent / "data")
    path.unlink()
    path.symlink_to("/dev/zero")
    refused(path, "it is a pipe or a device")


def _zeros(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n"
    return npy_header(text)


def _bomb(path: Path, size: int) -> Path:
    """Write an honest archive whose images are ``size`` zeros."""
    members = good()
    del members["x_train.npy"]
    write(path, members)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x_train.npy", "w", force_zip64=True) as member,
    ):
        member.write(_zeros((4, size // 4, 1)))
        for _ in range(size // 2**22):
            member.write(bytes(2**22))
    return path


def _header_bomb(path: Path) -> Path:
    """Write an archive with an array header of gigabytes."""
    start = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1)
    lie(write(path, {**good(), "x_train.npy": start + b" " * 2**22}), "x_train.npy", 2**32 - 2)
    return path


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    honest = _bomb(tmp_path / "honest.npz", 2**28)
    assert honest.stat().st_size < 2**19
    lying = _bomb(tmp_path / "lying.npz", 2**26)
    lie(lying, "x_train.npy", len(_zeros((4, 2**24, 1))) + 36)
    claiming = write(tmp_path / "claiming.npz", {**good(), "x_train.npy": _zeros((4, 2**28, 1))})
    lie(claiming, "x_train.npy", len(_zeros((4, 2**28, 1))) + 2**30)
    header = _header_bomb(tmp_path / "header.npz")
    paths = [honest, lying, claiming, header]
    answers = in_small_memory("bench.datasets.npz_file:read_npz", paths, imports="numpy")
    for path, answer in zip(paths, answers, strict=True):
        assert answer.startswith(f"BenchError: '{path}' would unpack") or path == lying, answer
    assert "Bad CRC-32" in answers[1]  # unpacked as far as the directory said, no further


@settings(max_examples=80)
@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=3),
    kept=st.none() | st.integers(0),
)
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    method: int,
    flips: list[tuple[int, int]],
    kept: int | None,
) -> None:
    path = write(tmp_path_factory.mktemp("damage") / "data.npz", good(), method)
    before = read_npz(path)
    raw = bytearray(path.read_bytes())
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    path.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    try:
        after = read_npz(path)
    except BenchError:
        return
    assert _equal(before, after)  # the checksums of the archive


def _equal(first: Arrays, second: Arrays) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(*map(vars_of, (first, second)), strict=True))


def vars_of(arrays: Arrays) -> list[Any]:
    return [getattr(arrays, key) for key in KEYS]
