"""A damaged file of a store is named, set aside and made again, with the same numbers."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses
from processes.event_log import EventLog
from store_contents import only_record, read_contents

GRID = "toy-byproducts,dim,herding"
SETTINGS = (
    "--set", "dim.gan_width=4", "--set", "dim.gan_max_steps=2", "--set", "dim.gan_batch=8",
    "--set", "dim.max_steps=1", "--set", "dim.net_steps=1", "--set", "dim.batch=8",
    "--set", "dim.pool=convnet1(width=4)", "--set", "herding.embedding_epochs=1",
    "--mode", "frozen",
)  # fmt: skip


def truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flipped(path: Path) -> None:
    """Flip a bit of the last tensor (or the last text): nothing but a digest can notice."""
    data = bytearray(path.read_bytes())
    data[-6] ^= 0x10
    path.write_bytes(data)


HARM: dict[str, Callable[[Path], None]] = {"truncated": truncated, "flipped": flipped}
harm = pytest.mark.parametrize("harm", HARM)


@pytest.fixture(scope="module")
def sound(processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("sound") / "store"
    assert processes.run(*processes.grid(store, GRID, *SETTINGS)).code == 0
    return store


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


def folder(store: Path, method: str, kind: str = "distil") -> Path:
    return store / "cells" / only_record(store, method, kind).id


@harm
@pytest.mark.parametrize("kind", ["distil", "evaluate"])
def test_record(processes: BenchProcesses, sound: Path, store: Path, kind: str, harm: str) -> None:
    path = folder(store, "toy-byproducts", kind) / "record.json"
    if kind == "distil":  # something must need it: a set that is evaluated is not made again
        shutil.rmtree(folder(store, "toy-byproducts", "evaluate"))
    HARM[harm](path)
    ended = processes.run(*processes.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    assert path.with_name("record.damaged.json").exists()
    assert read_contents(store) == read_contents(sound)


def test_record_that_nothing_needs(processes: BenchProcesses, sound: Path, store: Path) -> None:
    path = folder(store, "toy-byproducts") / "record.json"
    truncated(path)
    ended = processes.run(*processes.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    left = read_contents(sound)
    del left[path.parent.name]
    assert read_contents(store) == left


@harm
@pytest.mark.parametrize(
    ("method", "needs", "name"),
    [
        ("toy-byproducts", "toy-byproducts", "artefact"),
        ("gan", "dim", "artefact"),
        ("gan", "dim", "byproducts"),
    ],
)
def test_artefact(
    processes: BenchProcesses,
    sound: Path,
    store: Path,
    method: str,
    needs: str,
    name: str,
    harm: str,
) -> None:
    damaged = folder(store, method) / f"{name}.safetensors"
    HARM[harm](damaged)
    kind = "evaluate" if method == needs else "distil"
    shutil.rmtree(folder(store, needs, kind))
    if kind == "distil":
        shutil.rmtree(folder(store, needs, "evaluate"))
    ended = processes.run(*processes.grid(store, GRID, *SETTINGS))
    assert ended.code == 0, ended.err
    assert f"'{damaged}' is damaged; set aside, and computed again" in ended.err
    assert damaged.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(sound)


@harm
def test_shared_work(processes: BenchProcesses, sound: Path, store: Path, harm: str) -> None:
    (path,) = (store / "shared").glob("*.safetensors")
    HARM[harm](path)
    for kind in ("evaluate", "distil"):
        shutil.rmtree(folder(store, "herding", kind))
    ended = processes.run(*processes.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    assert path.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(sound)


WITH_CHECKPOINT = ("toy-byproducts", "--eval-arch", "toy-net", "--checkpoint-every", "0")


@pytest.fixture(scope="module")
def uninterrupted(processes: BenchProcesses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("uninterrupted") / "store"
    assert processes.run(*processes.grid(store, *WITH_CHECKPOINT)).code == 0
    return store


@harm
@pytest.mark.parametrize("place", ["toy-byproducts 1 step 3", "toy-net step 20"])
def test_checkpoint(
    processes: BenchProcesses, uninterrupted: Path, tmp_path: Path, place: str, harm: str
) -> None:
    store, log = tmp_path / "store", EventLog(tmp_path / "log")
    arguments = processes.grid(store, *WITH_CHECKPOINT)
    log.hold(place)
    run = processes.start(*arguments, **log.env())
    run.until(lambda: place in log.events())
    # Not killed: when a running evaluation writes its checkpoint, no test can know.
    run.send(signal.SIGTERM)
    run.until(lambda: "stopping after this step" in run.err)
    log.release(place)
    assert run.wait().code == 143
    (path,) = store.glob("cells/*/checkpoint.safetensors")
    HARM[harm](path)
    ended = processes.run(*arguments)
    assert ended.code == 0, ended.err
    assert f"'{path}'" in ended.err
    assert "set aside, the cell starts from the beginning" in ended.err
    assert path.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(uninterrupted)
