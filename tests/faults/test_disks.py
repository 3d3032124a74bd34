"""A full disk and a read-only store: said in a line, nothing damaged, and the next run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.bench_processes import Benches, Ended
from processes.event_log import Diary
from small_disk import fill, make_read_only, small_disk
from store_contents import read_contents, read_records, temporary_files, unexpected_files

FULL = "No space left on device"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as folder:
        yield folder


@pytest.fixture(scope="module")
def undisturbed(benches: Benches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("undisturbed")
    assert benches.run(*benches.grid(store, "fault-twin")).code == 0
    return store


def is_clean_error(ended: Ended) -> bool:
    return ended.code == 2 and "Traceback" not in ended.err


def test_full_while_a_checkpoint_is_written(
    benches: Benches, disk: Path, tmp_path: Path, undisturbed: Path
) -> None:
    diary, full, free = Diary(tmp_path), "fault-twin 1 step 2", "fault-twin 1 step 6"
    arguments = benches.grid(disk, "fault-twin", "--checkpoint-every", "0")
    run = benches.start(*arguments, **diary.env(full, free))
    run.until(lambda: full in diary.lines())
    ballast = fill(disk)
    diary.open(full)
    run.until(lambda: free in diary.lines())
    ballast.unlink()
    diary.open(free)
    ended = run.wait()
    assert ended.code == 0, ended.err
    assert f"cannot be written ({FULL}); going on" in ended.err
    assert read_contents(disk) == read_contents(undisturbed)
    assert unexpected_files(disk) == []


@pytest.mark.parametrize(("room", "workers"), [(0, 0), (16, 0), (0, 2)])
def test_full_while_the_artefact_is_written(
    benches: Benches, disk: Path, tmp_path: Path, undisturbed: Path, room: int, workers: int
) -> None:
    # An artefact has 10 kB, its by-products too: with 16 KiB of room only the second is too much.
    diary, place = Diary(tmp_path), "fault-twin 1 step 6"
    arguments = benches.grid(disk, "fault-twin", "--workers", str(workers))
    run = benches.start(*arguments, **diary.env(place))
    run.until(lambda: place in diary.lines())
    ballast = fill(disk, leaving=room)
    diary.open(place)
    ended = run.wait()
    assert is_clean_error(ended), ended.err
    last = ended.err.rstrip().splitlines()[-1]
    what = "byproducts" if room else "artefact"
    assert last.startswith("error: ")
    assert last.endswith(f"{what}.safetensors' cannot be written: {FULL}")
    assert read_records(disk) == {}
    assert not list(disk.rglob("lock"))
    assert temporary_files(disk) == []
    ballast.unlink()
    assert benches.run(*arguments).code == 0
    assert read_contents(disk) == read_contents(undisturbed)
    assert unexpected_files(disk) == []


def test_full_from_the_start(benches: Benches, disk: Path, undisturbed: Path) -> None:
    (disk / "cells").mkdir()
    ballast = fill(disk)
    ended = benches.run(*benches.grid(disk, "fault-twin"))
    assert is_clean_error(ended), ended.err
    assert f"cannot be written: {FULL}" in ended.err
    assert not list(disk.rglob("lock"))
    ballast.unlink()
    assert benches.run(*benches.grid(disk, "fault-twin")).code == 0
    assert read_contents(disk) == read_contents(undisturbed)


def test_full_while_records_are_written(
    benches: Benches, disk: Path, tmp_path: Path, undisturbed: Path
) -> None:
    # The evaluation ends on a full disk: its only file is its record.
    diary, place = Diary(tmp_path), "fault-net step 0"
    arguments = benches.grid(disk, "fault-slow", "--eval-arch", "fault-net")
    run = benches.start(*arguments, **diary.env(place))
    run.until(lambda: place in diary.lines())
    ballast = fill(disk)
    diary.open(place)
    ended = run.wait()
    assert is_clean_error(ended), ended.err
    assert ended.err.rstrip().endswith(f"record.json' cannot be written: {FULL}")
    assert [r.kind for r in read_records(disk).values()] == ["distil"]
    ballast.unlink()
    again = benches.run(*arguments)
    assert again.code == 0
    assert "[1/2] fault-slow on digits ipc 1 seed 0: cached" in again.err
    assert len(read_records(disk)) == 2


def test_full_while_the_report_is_written(benches: Benches, disk: Path) -> None:
    assert benches.run(*benches.grid(disk, "random", "--json")).code == 0
    fill(disk)
    ended = benches.run(*benches.grid(disk, "random"))
    assert is_clean_error(ended), ended.err
    assert f"report' cannot be written: {FULL}" in ended.err


def test_a_read_only_store(benches: Benches, disk: Path) -> None:
    done = benches.run(*benches.grid(disk, "random", "--json"))
    assert done.code == 0
    make_read_only(disk)
    ended = benches.run(*benches.grid(disk, "random"))
    assert is_clean_error(ended), ended.err
    assert f"store '{disk}' cannot be read and written by this user" in ended.err
    table = benches.run("table", "--store", str(disk), "--format", "json")
    assert table.code == 0, table.err
    assert '"random"' in table.out
    status = benches.run("status", "--store", str(disk), "--json")
    assert status.code == 0, status.err
