"""Files appear whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.support.atomic_files import remove_abandoned, replacing, write_json


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_success_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "x.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert names(path.parent) == ["x.json"]


def test_the_old_content_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("half")
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new"


def _write_half(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_exception_changes_nothing(
    tmp_path: Path, error: type[BaseException], old: str | None
) -> None:
    path = tmp_path / "x.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(error):
        _write_half(path, error)
    assert names(tmp_path) == ([] if old is None else ["x.txt"])
    assert old is None or path.read_text() == old


def test_what_need_not_outlive_a_power_cut_is_not_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    write_json(tmp_path / "a.json", {"x": 1}, flushed=False)
    assert flushed == []
    write_json(tmp_path / "b.json", {"x": 1})
    assert len(flushed) == 2  # the file and its folder
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failed_flush_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), replacing(path) as temporary:
        temporary.write_text("new")
    monkeypatch.undo()
    assert names(tmp_path) == ["x.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: object()}])
def test_what_is_no_json_touches_no_file(tmp_path: Path, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "new" / "x.json", value)
    assert names(tmp_path) == []


def test_json_is_for_people_and_differs_little(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"b": [1], "a": "é\ud800"})
    assert path.read_text() == '{\n  "a": "\\u00e9\\ud800",\n  "b": [\n    1\n  ]\n}\n'


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {})
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


def test_a_process_killed_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from bench.support.atomic_files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode < 0
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_what_a_killed_writer_left_is_removed_and_what_is_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".x.npz.abc.tmp").write_text("half")
    (tmp_path / "x.tmp").write_text("a file of its own")
    with replacing(tmp_path / "y.npz") as temporary:
        temporary.write_text("now")
        remove_abandoned(tmp_path)
        assert names(tmp_path) == sorted([temporary.name, "x.tmp"])
    assert names(tmp_path) == ["x.tmp", "y.npz"]
