"""Shared work is kept by the content of its key; damage means making it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.distilled.io import save_tensors
from bench.ledger.shared import SharedFolder

KEY: dict[str, Any] = {"what": "embedding", "sizes": (1, 2), "epochs": 2.0, "seed": None}
TENSORS = {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}


def kept(folder: SharedFolder) -> Path:
    folder.put(KEY, TENSORS, 1.5)
    (path,) = folder.folder.iterdir()
    return path


def test_what_is_put_is_got(tmp_path: Path) -> None:
    folder = SharedFolder(tmp_path)
    assert folder.get(KEY) is None
    folder.put(KEY, TENSORS, 1.5)
    found = SharedFolder(tmp_path).get(KEY)
    assert found is not None
    tensors, seconds = found
    assert seconds == 1.5
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[k], v) for k, v in TENSORS.items())


def test_an_equal_key_in_another_order_finds_it(tmp_path: Path) -> None:
    folder = SharedFolder(tmp_path)
    kept(folder)
    assert folder.get({**dict(reversed(KEY.items())), "sizes": [1, 2]}) is not None


@pytest.mark.parametrize(
    "change", [{"epochs": 3.0}, {"what": "other"}, {"seed": 0}, {"sizes": (2, 1)}, {"more": 1}]
)
def test_another_key_does_not(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = SharedFolder(tmp_path)
    kept(folder)
    assert folder.get({**KEY, **change}) is None
    folder.put({**KEY, **change}, {"w": torch.zeros(1)}, 2.0)
    found = folder.get(KEY)
    assert found is not None
    assert found[1] == 1.5


def test_what_is_got_may_be_changed(tmp_path: Path) -> None:
    folder = SharedFolder(tmp_path)
    kept(folder)
    first, second = folder.get(KEY), folder.get(KEY)
    assert first is not None
    assert second is not None
    first[0]["w"].zero_()
    assert torch.equal(second[0]["w"], TENSORS["w"])
    again = folder.get(KEY)
    assert again is not None
    assert torch.equal(again[0]["w"], TENSORS["w"])


def _no_seconds(path: Path) -> None:
    save_tensors(TENSORS, {"key": KEY}, path)


def _odd_seconds(path: Path) -> None:
    save_tensors(TENSORS, {"key": KEY, "seconds": [1]}, path)


DAMAGE: list[Callable[[Path], Any]] = [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-4]),
    lambda path: path.write_bytes(b"\xff" * 100),
    _no_seconds,
    _odd_seconds,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    folder = SharedFolder(tmp_path)
    path = kept(folder)
    damage(path)
    assert folder.get(KEY) is None
    assert [p.suffix for p in folder.folder.iterdir()] == [".damaged"]
    folder.put(KEY, TENSORS, 2.5)
    found = folder.get(KEY)
    assert found is not None
    assert found[1] == 2.5


def test_a_damaged_file_that_cannot_be_moved_is_none_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SharedFolder(tmp_path)
    kept(folder).write_bytes(b"")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert folder.get(KEY) is None


def test_a_folder_that_is_a_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("x")
    assert SharedFolder(tmp_path).get(KEY) is None
