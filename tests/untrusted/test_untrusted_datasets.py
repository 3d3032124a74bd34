"""Packed datasets that someone sent, and what the servers of the known ones could send."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_files import (
    JSON_TEXTS,
    JSON_VALUES,
    PICKLES,
    in_small_memory,
    pickled,
    sparse,
    split_safetensors,
    write_safetensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.datasets import data_folder, library
from bench.datasets.download import download
from bench.datasets.packed import map_part, read_header, write_packed
from bench.datasets.source import Arrays
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError, UnknownNameError
from bench.support.untrusted import Limit

SPEC = DatasetSpec("mine", 2, 1, 3, 3, (0.5,), (0.25,), flip=False)


def pack(path: Path) -> Path:
    """Write a small dataset."""
    pixels = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    labels = np.array([0, 1, 0, 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_packed(path, SPEC, Arrays(pixels, labels, pixels[:2], labels[:2]))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pack(tmp_path / "mine.safetensors")


def refused(path: Path) -> str:
    """Return the message that a packed file is refused with, by every command that reads it."""
    with pytest.raises(BenchError) as caught:
        data_folder.info("mine", path.parent)
    assert str(path) in str(caught.value)
    (listed,) = [one for one in data_folder.list_datasets(path.parent) if one.name == "mine"]
    assert listed.problem == str(caught.value)
    for ask in (library.ensure, library.verify):
        with pytest.raises(BenchError):
            ask("mine", path.parent)
    with pytest.raises(BenchError):
        library.open_split("mine", "train", path.parent, "cpu")
    return str(caught.value)


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_is_not_opened(path: Path, write: Callable[[Path, Path], None]) -> None:
    marker = path.parent / "executed"
    write(path, marker)
    assert "is damaged" in refused(path)
    assert not marker.exists()


def test_what_is_no_file_is_not_waited_for(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    assert "it is a pipe or a device" in refused(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is a pipe or a device" in refused(path)
    path.unlink()
    path.mkdir()
    assert "cannot be read: Is a directory" in refused(path)


def test_a_checksum_that_is_no_file_is_as_good_as_none(path: Path) -> None:
    note = path.with_name(f"{path.name}.sha256")
    makers: list[Callable[[Path], Any]] = [
        os.mkfifo, os.mkdir, lambda p: p.symlink_to("/dev/zero"),
        lambda p: p.write_bytes(b"\xff" * 100), lambda p: p.write_bytes(b"x" * 10**6),
    ]  # fmt: skip
    for make in makers:
        make(note)
        found = data_folder.info("mine", path.parent)
        assert found is not None
        assert not found.verified
        note.rmdir() if note.is_dir() else note.unlink()


RAW: dict[str, dict[str, Any]] = {
    "a petabyte": {"shape": [2**47], "data_offsets": [0, 2**50]},
    "more than an index": {"shape": [2**70], "data_offsets": [0, 2**73]},
    "none": {"shape": [0], "data_offsets": [0, 0]},
    "below none": {"shape": [-4], "data_offsets": [0, -32]},
    "a text": {"shape": "4"},
    "another type": {"dtype": "F64"},
    "offsets that overlap": {"data_offsets": [8, 40]},
}


@pytest.mark.parametrize("change", RAW)
def test_a_header_that_lies(path: Path, change: str) -> None:
    header, data = split_safetensors(path)
    header["train_labels"].update(RAW[change])
    write_safetensors(path, header, data)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_header_that_is_no_header(path: Path, text: str) -> None:
    _, data = split_safetensors(path)
    write_safetensors(path, JSON_TEXTS[text], data)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("length", [0, 1, 2**23 + 1, 10**15, 2**63, 2**64 - 1])
def test_a_length_that_lies(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("text", JSON_VALUES)
@pytest.mark.parametrize("field", ["num_classes", "note", "mean", "more"])
def test_json_that_bench_never_writes(path: Path, field: str, text: str) -> None:
    header, data = split_safetensors(path)
    meta = json.loads(header["__metadata__"]["bench"])
    meta["spec"][field] = "HERE"
    header["__metadata__"]["bench"] = json.dumps(meta).replace('"HERE"', JSON_VALUES[text])
    write_safetensors(path, header, data)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_classes", 10**6), ("num_classes", 10**400), ("height", 10**9), ("channels", 10**6),
        ("mean", [0.5] * 10**5), ("class_names", ["a"] * 10**5), ("class_names", 7),
        ("name", "../../mine"), ("name", "other"), ("name", ["mine"]), ("__class__", "x"),
    ],
)  # fmt: skip
def test_a_spec_that_claims_too_much(path: Path, field: str, value: Any) -> None:
    header, data = split_safetensors(path)
    meta = json.loads(header["__metadata__"]["bench"])
    meta["spec"][field] = value
    header["__metadata__"]["bench"] = json.dumps(meta)
    write_safetensors(path, header, data)
    assert len(refused(path)) < 600 + len(str(path))


@pytest.mark.parametrize(
    "name", ["../../mine", "/etc/mine", "..", "a/b", "mine\0", "mine\n", "\x1b[31m", "mine.x"]
)
def test_names_that_lead_elsewhere(path: Path, name: str) -> None:
    folder = path.parent / "data"
    for ask in (data_folder.info, library.ensure, library.verify, library.fetch):
        with pytest.raises(UnknownNameError):
            ask(name, folder)
    with pytest.raises(BenchError, match="is not allowed"):
        library.import_file(name, path, folder)
    assert not folder.exists()


def _claims(path: Path, images: int, side: int) -> Path:
    """Write a hollow file of so many images, with the header that it should have."""
    spec = DatasetSpec("mine", 2, 1, side, side, (0.5,), (0.25,), flip=False)
    ends = [8 * images, 8 * images + 8]
    ends += [ends[1] + images * side**2, ends[1] + (images + 1) * side**2]
    shapes = [[images], [1], [images, 1, side, side], [1, 1, side, side]]
    names = ["train_labels", "test_labels", "train_images", "test_images"]
    header: dict[str, Any] = {
        "__metadata__": {"bench": json.dumps({"format": 1, "spec": spec.to_json()})}
    }
    for name, shape, start, end in zip(names, shapes, [0, *ends], ends, strict=False):
        dtype = "I64" if len(shape) == 1 else "U8"
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    path.parent.mkdir()
    write_safetensors(path, header, b"")
    sparse(path, path.stat().st_size + ends[-1])
    return path


def test_no_file_takes_more_than_a_little_memory(tmp_path: Path) -> None:
    hollow = [
        _claims(tmp_path / "a" / "mine.safetensors", 2**35, 1),
        _claims(tmp_path / "b" / "mine.safetensors", 4, 2**17),
    ]
    lists = tmp_path / "c" / "mine.safetensors"
    lists.parent.mkdir()
    write_safetensors(lists, b"[" + b"[]," * (2**23 // 3 - 10) + b"[]]", b"")
    answers = in_small_memory(
        "bench.datasets.packed:read_header", [*hollow, lists], imports="numpy"
    )
    words = ["34,359,738,368 train", "images hold more than", "it holds more than"]
    for answer, expected in zip(answers, words, strict=True):
        assert answer.startswith("BenchError: ")
        assert expected in answer


@settings(max_examples=80)
@given(
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=3),
    kept=st.none() | st.integers(0),
)
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], kept: int | None
) -> None:
    path = pack(tmp_path_factory.mktemp("damage") / "mine.safetensors")
    raw = bytearray(path.read_bytes())
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    path.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    try:
        found = data_folder.info("mine", path.parent)
    except BenchError:
        return
    assert found is not None
    images, labels = map_part(path, read_header(path), "train")
    assert images.shape == (4, 1, 3, 3)
    assert labels.min() >= 0
    assert labels.max() < found.spec.num_classes


# --- what the servers of known datasets could send ---------------------------------------------


def _cifar_archive(folder: Path, batch: bytes) -> bytes:
    """Return an archive laid out as CIFAR-10's, each of its batches being ``batch``."""
    out = io.BytesIO()
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch", "batches.meta"]
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(batch)
            archive.addfile(info, io.BytesIO(batch))
    return out.getvalue()


def test_a_batch_of_cifar_is_not_unpickled_unless_it_is_the_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    import torchvision.datasets

    marker = tmp_path / "executed"
    pickled(tmp_path / "batch", marker)
    raw = _cifar_archive(tmp_path, (tmp_path / "batch").read_bytes())
    (tmp_path / "cifar.tar.gz").write_bytes(raw)
    source = torchvision.datasets.CIFAR10
    monkeypatch.setattr(source, "url", (tmp_path / "cifar.tar.gz").as_uri())
    with pytest.raises(BenchError, match="the file's md5 is"):
        library.fetch("cifar10", tmp_path / "data")
    # Even if the archive's own checksum were made to fit.
    monkeypatch.setattr(source, "tgz_md5", hashlib.md5(raw, usedforsecurity=False).hexdigest())
    with pytest.raises(BenchError, match="'cifar10' could not be fetched"):
        library.fetch("cifar10", tmp_path / "data")
    assert not marker.exists()
    assert not list((tmp_path / "data").iterdir())


def test_a_download_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limit, "DOWNLOAD_BYTES", 1000)
    (tmp_path / "there").write_bytes(bytes(10**6))
    with pytest.raises(BenchError, match="more than 1,000 bytes came"):
        download([(tmp_path / "there").as_uri()], tmp_path / "here", "0" * 32, library.no_progress)
