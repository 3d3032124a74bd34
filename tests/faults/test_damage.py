"""A damaged file of a store is named, set aside and made again, with the same numbers."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes.bench_processes import Benches
from processes.event_log import Diary
from store_contents import only_record, read_contents

GRID = "fault-twin,dim,herding"
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
def sound(benches: Benches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("sound") / "store"
    assert benches.run(*benches.grid(store, GRID, *SETTINGS)).code == 0
    return store


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


def folder(store: Path, method: str, kind: str = "distil") -> Path:
    return store / "cells" / only_record(store, method, kind).id


@harm
@pytest.mark.parametrize("kind", ["distil", "evaluate"])
def test_record(benches: Benches, sound: Path, store: Path, kind: str, harm: str) -> None:
    path = folder(store, "fault-twin", kind) / "record.json"
    if kind == "distil":  # something must need it: what is judged is not made again
        shutil.rmtree(folder(store, "fault-twin", "evaluate"))
    HARM[harm](path)
    ended = benches.run(*benches.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    assert path.with_name("record.damaged.json").exists()
    assert read_contents(store) == read_contents(sound)


def test_record_that_nothing_needs(benches: Benches, sound: Path, store: Path) -> None:
    path = folder(store, "fault-twin") / "record.json"
    truncated(path)
    ended = benches.run(*benches.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    left = read_contents(sound)
    del left[path.parent.name]
    assert read_contents(store) == left


@harm
@pytest.mark.parametrize(
    ("method", "needs", "name"),
    [
        ("fault-twin", "fault-twin", "artefact"),
        ("gan", "dim", "artefact"),
        ("gan", "dim", "byproducts"),
    ],
)
def test_artefact(
    benches: Benches, sound: Path, store: Path, method: str, needs: str, name: str, harm: str
) -> None:
    damaged = folder(store, method) / f"{name}.safetensors"
    HARM[harm](damaged)
    kind = "evaluate" if method == needs else "distil"
    shutil.rmtree(folder(store, needs, kind))
    if kind == "distil":
        shutil.rmtree(folder(store, needs, "evaluate"))
    ended = benches.run(*benches.grid(store, GRID, *SETTINGS))
    assert ended.code == 0, ended.err
    assert f"'{damaged}' is damaged; set aside, and computed again" in ended.err
    assert damaged.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(sound)


@harm
def test_shared_work(benches: Benches, sound: Path, store: Path, harm: str) -> None:
    (path,) = (store / "shared").glob("*.safetensors")
    HARM[harm](path)
    for kind in ("evaluate", "distil"):
        shutil.rmtree(folder(store, "herding", kind))
    ended = benches.run(*benches.grid(store, GRID, *SETTINGS))
    assert ended.code == 0
    assert f"'{path}' is damaged" in ended.err
    assert path.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(sound)


WITH_CHECKPOINT = ("fault-twin", "--eval-arch", "fault-net", "--checkpoint-every", "0")


@pytest.fixture(scope="module")
def uninterrupted(benches: Benches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("uninterrupted") / "store"
    assert benches.run(*benches.grid(store, *WITH_CHECKPOINT)).code == 0
    return store


@harm
@pytest.mark.parametrize("place", ["fault-twin 1 step 3", "fault-net step 20"])
def test_checkpoint(
    benches: Benches, uninterrupted: Path, tmp_path: Path, place: str, harm: str
) -> None:
    store, diary = tmp_path / "store", Diary(tmp_path)
    arguments = benches.grid(store, *WITH_CHECKPOINT)
    run = benches.start(*arguments, **diary.env(place))
    run.until(lambda: place in diary.lines())
    # Not killed: when a running evaluation writes its checkpoint, nobody can know.
    run.send(signal.SIGTERM)
    run.until(lambda: "stopping after this step" in run.err)
    diary.open(place)
    assert run.wait().code == 143
    (path,) = store.glob("cells/*/checkpoint.safetensors")
    HARM[harm](path)
    ended = benches.run(*arguments)
    assert ended.code == 0, ended.err
    assert f"'{path}'" in ended.err
    assert "set aside, the cell starts from the beginning" in ended.err
    assert path.with_suffix(".damaged").exists()
    assert read_contents(store) == read_contents(uninterrupted)
