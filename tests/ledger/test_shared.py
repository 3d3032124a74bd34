"""Shared work is kept by the content of its key; damage means making it again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.distilled.io import load_tensors, save_tensors
from bench.ledger.shared import SharedFolder
from bench.support.attempt import SharedResult
from bench.support.stopping import Interrupted, Stop

KEY: dict[str, Any] = {"what": "embedding", "sizes": (1, 2), "epochs": 2.0, "seed": None}
TENSORS = {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}
PARTS = {"a": 0.5, "b": 0.25}


def kept(folder: SharedFolder) -> Path:
    folder.put(KEY, SharedResult(TENSORS, 1.5, PARTS))
    (path,) = folder.folder.iterdir()
    return path


def test_what_is_put_is_got(tmp_path: Path) -> None:
    folder = SharedFolder(tmp_path)
    assert folder.get(KEY) is None
    folder.put(KEY, SharedResult(TENSORS, 1.5, PARTS))
    found = SharedFolder(tmp_path).get(KEY)
    assert found is not None
    tensors, seconds, parts = found
    assert seconds == 1.5
    assert parts == PARTS
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
    folder.put({**KEY, **change}, SharedResult({"w": torch.zeros(1)}, 2.0))
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


def _odd_parts(path: Path) -> None:
    save_tensors(TENSORS, {"key": KEY, "seconds": 1, "parts": {"a": -1.0}}, path)


def _other_parts(path: Path) -> None:
    tensors, header = load_tensors(path)
    save_tensors(tensors, {**header, "parts": {**PARTS, "b": 0.125}}, path)


DAMAGE: list[Callable[[Path], Any]] = [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-4]),
    lambda path: path.write_bytes(b"\xff" * 100),
    _no_seconds,
    _odd_seconds,
    _odd_parts,
    _other_parts,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    folder = SharedFolder(tmp_path)
    path = kept(folder)
    damage(path)
    assert folder.get(KEY) is None
    assert [p.suffix for p in folder.folder.iterdir()] == [".damaged"]
    folder.put(KEY, SharedResult(TENSORS, 2.5))
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


HOLD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from bench.ledger.shared import SharedFolder\n"
    "from bench.support.stopping import Stop\n"
    "folder = SharedFolder(Path(sys.argv[1]))\n"
    "with folder.making({'what': 'embedding'}, Stop()):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)
EMBEDDING = {"what": "embedding"}


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that computes ``EMBEDDING``; it ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens between two looks at a lock, the last first; an empty list fails."""
    todo: list[Callable[[], None]] = []
    monkeypatch.setattr("bench.ledger.shared.time.sleep", lambda _: todo.pop()())
    return todo


def test_another_process_is_waited_for_and_named_once(
    maker: subprocess.Popen[str], looks: list[Callable[[], None]], tmp_path: Path
) -> None:
    notes: list[str] = []

    def finish() -> None:
        maker.communicate("")

    looks.extend([finish, lambda: None])
    with SharedFolder(tmp_path, note=notes.append).making(EMBEDDING, Stop()):
        assert maker.returncode == 0
    assert not looks
    assert len(notes) == 1
    assert "waiting for shared work ('embedding')" in notes[0]
    assert f"process {maker.pid}" in notes[0]
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_stop_ends_the_wait(
    maker: subprocess.Popen[str], looks: list[Callable[[], None]], tmp_path: Path
) -> None:
    stop = Stop()
    looks.append(lambda: stop.request("SIGTERM", 143))
    with (
        pytest.raises(Interrupted, match="SIGTERM"),
        SharedFolder(tmp_path).making(EMBEDDING, stop),
    ):
        pytest.fail("another process holds it")
    assert maker.poll() is None


def test_a_process_that_was_killed_is_not_waited_for(
    maker: subprocess.Popen[str], looks: list[Callable[[], None]], tmp_path: Path
) -> None:
    maker.kill()
    maker.wait()
    assert [p.suffix for p in (tmp_path / "shared").iterdir()] == [".lock"]
    with SharedFolder(tmp_path).making(EMBEDDING, Stop()):
        pass
    assert list((tmp_path / "shared").iterdir()) == []


def test_other_results_are_not_waited_for(
    maker: subprocess.Popen[str], looks: list[Callable[[], None]], tmp_path: Path
) -> None:
    with SharedFolder(tmp_path).making({**EMBEDDING, "epochs": 2}, Stop()):
        assert maker.poll() is None
    with SharedFolder(tmp_path, sources={"x": "1"}).making(EMBEDDING, Stop()):
        assert maker.poll() is None


def test_a_failure_releases_the_lock(tmp_path: Path, looks: list[Callable[[], None]]) -> None:
    folder = SharedFolder(tmp_path)
    with pytest.raises(ZeroDivisionError), folder.making(EMBEDDING, Stop()):
        raise ZeroDivisionError
    with folder.making(EMBEDDING, Stop()):
        pass
