"""Downloading: checked, told about, tried on every mirror. All addresses are local files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.datasets.download import download
from bench.datasets.source import no_progress
from bench.support.errors import BenchError


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_file_arrives_with_progress(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000
    (tmp_path / "there").write_bytes(data)
    told: list[tuple[str, int, int | None]] = []
    target = tmp_path / "new" / "here.bin"
    download([(tmp_path / "there").as_uri()], target, _md5(data), lambda *a: told.append(a))
    assert target.read_bytes() == data
    assert told[-1] == ("here.bin", len(data), len(data))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_next_mirror_is_tried(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(b"no")
    (tmp_path / "good").write_bytes(b"yes")
    urls = [(tmp_path / name).as_uri() for name in ("gone", "damaged", "good")]
    download(urls, tmp_path / "here", _md5(b"yes"), no_progress)
    assert (tmp_path / "here").read_bytes() == b"yes"


def test_the_reason_of_each_mirror_is_told(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(b"no")
    urls = [(tmp_path / name).as_uri() for name in ("gone", "damaged")]
    with pytest.raises(BenchError) as caught:
        download(urls, tmp_path / "here", _md5(b"yes"), no_progress)
    assert "could not download here" in str(caught.value)
    assert "No such file" in str(caught.value)
    assert f"the file's md5 is {_md5(b'no')}, expected {_md5(b'yes')}" in str(caught.value)
    assert not (tmp_path / "here").exists()
