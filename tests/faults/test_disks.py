"""A full disk and a read-only store: said in a line, nothing damaged, and the next run goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses, Ended
from processes.event_log import EventLog
from small_disk import fill, make_read_only, small_disk
from store_contents import read_contents, read_records, temporary_files, unexpected_files

FULL = "No space left on device"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as folder:
        yield folder


@pytest.fixture(scope="module")
def undisturbed(processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("undisturbed")
    assert processes.run(*processes.grid(store, "toy-byproducts")).code == 0
    return store


def is_clean_error(ended: Ended) -> bool:
    return ended.code == 2 and "Traceback" not in ended.err


def test_full_while_a_checkpoint_is_written(
    processes: BenchProcesses, disk: Path, tmp_path: Path, undisturbed: Path
) -> None:
    log, full, free = (
        EventLog(tmp_path / "log"),
        "toy-byproducts 1 step 2",
        "toy-byproducts 1 step 6",
    )
    arguments = processes.grid(disk, "toy-byproducts", "--checkpoint-every", "0")
    log.hold(full)
    log.hold(free)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: full in log.events())
    ballast = fill(disk)
    log.release(full)
    run.until(lambda: free in log.events())
    ballast.unlink()
    log.release(free)
    ended = run.wait()
    assert ended.code == 0, ended.err
    assert f"cannot be written ({FULL}); going on" in ended.err
    assert read_contents(disk) == read_contents(undisturbed)
    assert unexpected_files(disk) == []


@pytest.mark.parametrize(("room", "workers"), [(0, 0), (16, 0), (0, 2)])
def test_full_while_the_artefact_is_written(
    processes: BenchProcesses,
    disk: Path,
    tmp_path: Path,
    undisturbed: Path,
    room: int,
    workers: int,
) -> None:
    # An artefact has 10 kB, its by-products too: with 16 KiB of room only the second is too much.
    log, place = EventLog(tmp_path / "log"), "toy-byproducts 1 step 6"
    arguments = processes.grid(disk, "toy-byproducts", "--workers", str(workers))
    log.hold(place)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: place in log.events())
    ballast = fill(disk, leaving=room)
    log.release(place)
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
    assert processes.run(*arguments).code == 0
    assert read_contents(disk) == read_contents(undisturbed)
    assert unexpected_files(disk) == []


def test_full_from_the_start(processes: BenchProcesses, disk: Path, undisturbed: Path) -> None:
    (disk / "cells").mkdir()
    ballast = fill(disk)
    ended = processes.run(*processes.grid(disk, "toy-byproducts"))
    assert is_clean_error(ended), ended.err
    assert f"cannot be written: {FULL}" in ended.err
    assert not list(disk.rglob("lock"))
    ballast.unlink()
    assert processes.run(*processes.grid(disk, "toy-byproducts")).code == 0
    assert read_contents(disk) == read_contents(undisturbed)


def test_full_while_records_are_written(
    processes: BenchProcesses, disk: Path, tmp_path: Path, undisturbed: Path
) -> None:
    # The evaluation ends on a full disk: its only file is its record.
    log, place = EventLog(tmp_path / "log"), "toy-net step 0"
    arguments = processes.grid(disk, "toy-drift", "--eval-arch", "toy-net")
    log.hold(place)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: place in log.events())
    ballast = fill(disk)
    log.release(place)
    ended = run.wait()
    assert is_clean_error(ended), ended.err
    assert ended.err.rstrip().endswith(f"record.json' cannot be written: {FULL}")
    assert [r.kind for r in read_records(disk).values()] == ["distil"]
    ballast.unlink()
    again = processes.run(*arguments)
    assert again.code == 0
    assert "[1/2] toy-drift on digits ipc 1 seed 0: cached" in again.err
    assert len(read_records(disk)) == 2


def test_full_while_the_report_is_written(processes: BenchProcesses, disk: Path) -> None:
    assert processes.run(*processes.grid(disk, "random", "--json")).code == 0
    fill(disk)
    ended = processes.run(*processes.grid(disk, "random"))
    assert is_clean_error(ended), ended.err
    assert re.search(rf"/report/\w+' cannot be written: {FULL}", ended.err)


def test_a_read_only_store(processes: BenchProcesses, disk: Path) -> None:
    done = processes.run(*processes.grid(disk, "random", "--json"))
    assert done.code == 0
    make_read_only(disk)
    ended = processes.run(*processes.grid(disk, "random"))
    assert is_clean_error(ended), ended.err
    assert f"store '{disk}' cannot be read and written by this user" in ended.err
    table = processes.run("table", "--store", str(disk), "--format", "json")
    assert table.code == 0, table.err
    assert '"random"' in table.out
    status = processes.run("status", "--store", str(disk), "--json")
    assert status.code == 0, status.err
