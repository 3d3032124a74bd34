"""Files that are damaged, or not ours: refused by name, never unpickled, never fatal."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sample_sets import image_set
from toy_generator import toy_set

from bench.distilled.base import DistilledSet
from bench.distilled.io import load, save
from bench.support.errors import BenchError
from bench.support.seeds import make_generator


class Bomb:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.fspath(self.marker),)


@pytest.mark.parametrize("write", [
    lambda bomb, path: path.write_bytes(pickle.dumps(bomb)),
    lambda bomb, path: torch.save({"images": bomb}, path),
])  # fmt: skip
def test_a_pickle_under_our_name_is_refused_unopened(
    path: Path, write: Callable[[Bomb, Path], Any]
) -> None:
    marker = path.parent / "executed"
    write(Bomb(marker), path)
    with pytest.raises(BenchError, match="is not a readable bench file"):
        load(path)
    assert not marker.exists()


def test_the_bomb_is_a_real_one(path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(path)))
    assert path.is_dir()


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_raw(path: Path, header: bytes | dict[str, Any], data: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _cut(n: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:n]) and None


def _huge(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["shape"] = [10**6, 10**6, 10**6]
    header["images"]["data_offsets"] = [0, 4 * 10**18]
    write_raw(path, header, data)


def _huge_shape(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["shape"] = [2**62, 2**62]
    write_raw(path, header, data)


def _other_type(path: Path) -> None:
    header, data = header_of(path)
    header["images"]["dtype"] = "F8192"
    write_raw(path, header, data)


def _overlapping(path: Path) -> None:
    header, data = header_of(path)
    assert header["labels"]["data_offsets"] == [0, 48]
    header["images"]["data_offsets"] = [0, 480]
    write_raw(path, header, data)


def _huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + path.read_bytes()[8:])


def _nested(path: Path) -> None:
    _, data = header_of(path)
    write_raw(path, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, data)


def _bench_header(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save_file({"images": torch.zeros(1)}, path, metadata={"bench": text})

    return write


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "absent": (lambda path: path.unlink(), "does not exist"),
    "folder": (lambda path: path.unlink() or path.mkdir(), "is not a readable bench file"),
    "empty": (_cut(0), "is not a readable bench file"),
    "cut in its size": (_cut(5), "is not a readable bench file"),
    "cut in its header": (_cut(100), "is not a readable bench file"),
    "cut in its pixels": (_cut(-1), "is not a readable bench file"),
    "too long": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "is not a readable bench file"),
    "text": (lambda p: p.write_text("hello, world" * 9), "is not a readable bench file"),
    "huge tensor": (_huge, "is not a readable bench file"),
    "huge shape": (_huge_shape, "is not a readable bench file"),
    "unknown type": (_other_type, "is not a readable bench file"),
    "overlapping tensors": (_overlapping, "is not a readable bench file"),
    "huge header": (_huge_header, "is not a readable bench file"),
    "nested header": (_nested, "is not a readable bench file"),
    "nested bench header": (_bench_header("[" * 200_000), "is not a readable bench file"),
    "bench header is no json": (_bench_header("{"), "is not a readable bench file"),
    "bench header holds NaN": (_bench_header('{"format": NaN}'), "it holds NaN"),
    "bench header is a list": (_bench_header("[]"), "has a header that is not an object"),
    "bench header is empty": (_bench_header("{}"), "has format None; this bench reads 1"),
    "a stranger's": (lambda p: save_file({"x": torch.zeros(1)}, p), "was not written by bench"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_damaged_or_not_ours(path: Path, damage: str) -> None:
    save(image_set(), path)
    spoil, words = DAMAGE[damage]
    spoil(path)
    with pytest.raises(BenchError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(
    kind=st.sampled_from([image_set, toy_set]), position=st.integers(0), byte=st.integers(0, 255)
)
def test_no_byte_is_fatal(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Callable[[], DistilledSet],
    position: int,
    byte: int,
) -> None:
    path = tmp_path_factory.mktemp("io") / "set.safetensors"
    save(kind(), path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    try:
        loaded = load(path)
    except BenchError as error:
        message = str(error)
    else:
        message = str(path)
        shown = loaded.preview(1, make_generator(0))
        assert bool(((shown >= 0) & (shown <= 1)).all())
        ipc = None if loaded.kind == "image" else 2  # labels may have become uneven
        source = loaded.source(loaded.modes[0], ipc, make_generator(0))
        assert len(source.epoch(make_generator(0))[0]) == source.images_per_epoch
    assert str(path) in message
