"""A run and its data: damage fails before a number is made; another note computes nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes.bench_processes import BenchProcesses
from recording_reporter import RecordingReporter
from run_digits import SMALL, accuracies, run_digits

import bench
from bench.api import EveryCellFailedError
from bench.datasets.data_folder import DatasetInfo, info
from bench.datasets.library import ensure, import_file
from bench.datasets.packed import map_part, read_header
from bench.grid.data_names import DataNames
from bench.ledger.cell import DistilCell
from bench.ledger.frames import load_failures
from bench.support.errors import BenchError

METHODS = ["toy-first", "toy-drift"]


@pytest.fixture
def own_data(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


def flip_a_byte(path: Path, place: int = -1) -> None:
    """Damage a file, but change neither its size nor its time."""
    before, raw = path.stat(), bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_damaged_data_end_a_run_before_it_begins(toys, tmp_path: Path, own_data: Path) -> None:
    flip_a_byte(own_data / "digits.safetensors")
    with pytest.raises(BenchError, match=r"digits\.safetensors' is damaged: its sha256 is"):
        run_digits(tmp_path / "store", own_data, METHODS)
    assert not (tmp_path / "store").exists()


def test_data_damaged_during_a_run_fail_its_cells(toys, tmp_path: Path, own_data: Path) -> None:
    class Damaging(RecordingReporter):
        def begin(self, *_: object) -> None:
            flip_a_byte(own_data / "digits.safetensors")

    store, reporter = tmp_path / "store", Damaging()
    with pytest.raises(EveryCellFailedError, match=r"digits\.safetensors' is damaged"):
        bench.run(
            "toy-first", "digits", 1, store=store, data_dir=own_data, reporter=reporter, **SMALL
        )
    assert reporter.count("failed") == 2
    assert all("digits.safetensors' is damaged" in r for r in load_failures(store)["reason"])


def test_damaged_data_end_the_command_with_code_2(
    processes: BenchProcesses, tmp_path: Path, own_data: Path
) -> None:
    flip_a_byte(own_data / "digits.safetensors")
    arguments = processes.grid(tmp_path / "store", "random", "--data-dir", str(own_data))
    ended = processes.run(*arguments)
    assert ended.code == 2
    assert "digits.safetensors' is damaged: its sha256 is" in ended.err
    assert "Traceback" not in ended.err


def test_damaged_statistics_of_a_whitened_set_are_computed_again(
    toys, tmp_path: Path, data_dir: Path
) -> None:
    """They are part of the artefact, whose sha256 its record holds."""
    first, _ = run_digits(tmp_path, data_dir, "toy-whitened")
    (artefact,) = tmp_path.glob("cells/*/artefact.safetensors")
    length = int.from_bytes(artefact.read_bytes()[:8], "little")
    header = json.loads(artefact.read_bytes()[8 : 8 + length])
    flip_a_byte(artefact, 8 + length + header["zca_matrix"]["data_offsets"][0])
    (evaluation,) = first["cell_id"]
    shutil.rmtree(tmp_path / "cells" / evaluation)
    second = bench.run("toy-whitened", "digits", 1, store=tmp_path, data_dir=data_dir, **SMALL)
    assert artefact.with_suffix(".damaged").exists()
    assert accuracies(second) == accuracies(first)


def import_digits(folder: Path, data_dir: Path, note: str) -> DatasetInfo:
    """Import the digits as a dataset of one's own."""
    path = data_dir / "digits.safetensors"
    header, arrays = read_header(path), {}
    for part in ("train", "test"):
        images, labels = map_part(path, header, part)
        arrays |= {f"x_{part}": np.moveaxis(images, 1, 3), f"y_{part}": labels}
    folder.mkdir(exist_ok=True)
    np.savez(folder / "mine.npz", **arrays)
    return import_file("mine", folder / "mine.npz", folder, note=note, replace=True)


def run_mine(store: Path, folder: Path) -> RecordingReporter:
    reporter = RecordingReporter()
    bench.run(METHODS, "mine", 1, store=store, data_dir=folder, reporter=reporter, **SMALL)
    return reporter


def by_file(_: DataNames, data: DatasetInfo, make: Callable[[str], DistilCell]) -> DistilCell:
    """Name data as earlier versions of bench did."""
    return make(data.sha256)


@pytest.mark.parametrize("naming", [DataNames.make, by_file])
def test_another_note_computes_nothing(
    naming: object, toys, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder = tmp_path / "store", tmp_path / "data"
    first = import_digits(folder, data_dir, "through JPEG")
    with monkeypatch.context() as earlier:
        earlier.setattr(DataNames, "make", naming)
        assert run_mine(store, folder).count("ok") == 4
    second = import_digits(folder, data_dir, "as published")
    assert first.sha256 != second.sha256
    assert run_mine(store, folder).count("cached") == 4
    bench.run("toy-first", "mine", 2, store=store, data_dir=folder, **SMALL)
    names = {path.parent.name for path in store.glob("cells/*/record.json")}
    assert len(names) == 6  # of the new cells too, all in the same table
    assert len({row.dataset_sha256 for row in rows(store)}) == 1


def rows(store: Path) -> list[object]:
    from bench.ledger.record_rows import load_rows

    return list(load_rows(store).evaluations)


def test_cells_under_both_names_are_recognised(
    toys, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores of an earlier and of this version may have been merged."""
    store, folder = tmp_path / "store", tmp_path / "data"
    import_digits(folder, data_dir, "through JPEG")
    with monkeypatch.context() as earlier:
        earlier.setattr(DataNames, "make", by_file)
        bench.run("toy-drift", "mine", 1, store=store, data_dir=folder, **SMALL)
    with monkeypatch.context() as apart:
        apart.setattr(DataNames, "make", lambda _, data, make: make(data.content))
        bench.run("toy-first", "mine", 1, store=store, data_dir=folder, **SMALL)
    import_digits(folder, data_dir, "as published")
    assert run_mine(store, folder).count("cached") == 4


def test_other_pixels_under_the_same_note_are_computed(
    toys, tmp_path: Path, data_dir: Path
) -> None:
    store, folder = tmp_path / "store", tmp_path / "data"
    import_digits(folder, data_dir, "through JPEG")
    run_mine(store, folder)
    arrays = dict(np.load(folder / "mine.npz"))
    arrays["x_test"][0, 0, 0] ^= 1
    np.savez(folder / "mine.npz", **arrays)
    import_file("mine", folder / "mine.npz", folder, note="through JPEG", replace=True)
    assert run_mine(store, folder).count("ok") == 4


def test_the_content_is_known_only_where_the_file_was_read(data_dir: Path) -> None:
    packed = info("digits", data_dir)
    assert packed is not None
    assert packed.content is None
    assert ensure("digits", data_dir).content is not None
