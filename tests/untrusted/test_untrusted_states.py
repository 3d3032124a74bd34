"""Checkpoints, by-products and shared work that someone sent: set aside, and made again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_files import DEEP, JSON_TEXTS, PICKLES, split_safetensors, write_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.distillation.loop import Loop
from bench.distillation.shared_work import LongWork
from bench.distilled.digest import tensors_digest
from bench.distilled.io import load_tensors, save_tensors
from bench.evaluation.net_outcome import NetOutcome
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.shared import SharedFolder
from bench.ledger.state_file import load_state, save_state
from bench.support.attempt import Attempt, SharedResult
from bench.support.cost_meter import Meter
from bench.support.errors import BenchError
from bench.support.failure_reasons import UnfitStateError

CPU = torch.device("cpu")
KEY = {"what": "embedding", "seed": 3}
STATE = {"done": 3, "images": torch.arange(6.0).view(2, 3), "rates": [0.5, float("inf")], 7: None}


class Place:
    """A checkpoint or a file of shared work: how it is written, and whether it is read back."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.told: list[str] = []
        self._shared = SharedFolder(folder)
        self._checkpoint = Checkpoint(folder / "checkpoint.safetensors", "c0", 0, self.told.append)
        self.kind, self.folder = kind, folder / "shared" if kind == "shared" else folder

    def write(self) -> Path:
        if self.kind == "shared":
            self._shared.put(KEY, SharedResult({"w": torch.arange(6.0)}, 1.5))
        else:
            self._checkpoint.save(STATE)
        (path,) = self.folder.glob("*.safetensors")
        return path

    def read(self) -> Any:
        return self._shared.get(KEY) if self.kind == "shared" else self._checkpoint.load(CPU)


@pytest.fixture(params=["shared", "checkpoint"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, request.param)


def assert_set_aside(place: Place, path: Path) -> None:
    assert place.read() is None
    assert not os.path.lexists(path)
    assert os.path.lexists(path.with_suffix(".damaged"))
    assert place.kind == "shared" or (len(place.told) == 1 and "\n" not in place.told[0])


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_is_not_opened(place: Place, write: Callable[[Path, Path], None]) -> None:
    path = place.write()
    assert place.read() is not None
    write(path, path.parent / "executed")
    assert_set_aside(place, path)
    assert not (path.parent / "executed").exists()


def test_what_is_no_file_is_not_waited_for(place: Place) -> None:
    path = place.write()
    path.unlink()
    os.mkfifo(path)
    assert_set_aside(place, path)


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_a_header_that_is_no_header(place: Place, text: str) -> None:
    path = place.write()
    header, data = split_safetensors(path)
    ours = JSON_TEXTS[text].decode("latin1")
    write_safetensors(path, {**header, "__metadata__": {"bench": ours}}, data)
    assert_set_aside(place, path)
    path = place.write()
    write_safetensors(path, JSON_TEXTS[text], data)
    path.with_suffix(".damaged").unlink()
    place.told.clear()
    assert_set_aside(place, path)


@settings(max_examples=80)
@given(
    kind=st.sampled_from(["shared", "checkpoint"]),
    flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=3),
    kept=st.none() | st.integers(0),
)
def test_any_damage_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    flips: list[tuple[int, int]],
    kept: int | None,
) -> None:
    place = Place(tmp_path_factory.mktemp("damage"), kind)
    path = place.write()
    before, raw = repr(place.read()), bytearray(path.read_bytes())
    for position, mask in flips:
        raw[position % len(raw)] ^= mask
    path.write_bytes(raw if kept is None else raw[: kept % len(raw)])
    found = place.read()
    assert found is None or repr(found) == before


# --- whole files with a right digest, and nonsense in them --------------------------------------


def write_state(path: Path, tree: Any, tensors: dict[str, torch.Tensor] | None = None) -> None:
    """Write a tree as it is given, with the digest that goes with it."""
    kept = tensors or {}
    digest = tensors_digest(json.dumps(tree, sort_keys=True), kept)
    save_tensors(kept, {"format": 1, "tree": tree, "digest": digest}, path)


def _nested(depth: int) -> Any:
    tree: Any = {"plain": 1}
    for _ in range(depth):
        tree = {"list": [tree]}
    return tree


TREES: list[Any] = [
    None, 7, "tensor", [], {}, {"tensor": "0"}, {"tensor": ["0"], "host": True}, {"tensor": {}},
    {"float": "0x1p999999"}, {"float": 3}, {"float": "pickle"}, {"dict": 5}, {"dict": [[1]]},
    {"dict": [[["a"], {"plain": 1}]]}, {"list": {"a": 1}}, {"list": [None]}, _nested(200),
    {"dict": [["cell", {"plain": "c0"}]]},
    {"dict": [["cell", {"plain": "c0"}], ["state", {"plain": 5}]]},
    {"dict": [["cell", {"plain": "../c0"}], ["state", {"dict": []}]]},
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: repr(tree)[:40])
def test_a_tree_that_bench_never_writes(tmp_path: Path, tree: Any) -> None:
    place = Place(tmp_path, "checkpoint")
    path = place.write()
    write_state(path, tree)
    assert_set_aside(place, path)


def test_a_tree_that_is_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_state({}, path)
    header, data = split_safetensors(path)
    tree = '{"list":[' * DEEP + '{"plain":1}' + "]}" * DEEP
    header["__metadata__"]["bench"] = f'{{"format": 1, "tree": {tree}, "digest": ""}}'
    write_safetensors(path, header, data)
    with pytest.raises(BenchError, match="nested too deeply"):
        load_state(path, CPU)


@pytest.mark.parametrize(
    "change",
    [
        {"key": {"what": "other"}}, {"key": None}, {"seconds": "nan"}, {"seconds": -1.0},
        {"seconds": 10**400}, {"seconds": None}, {"seconds": True}, {"digest": 5}, {"digest": "ab"},
    ],
    ids=str,
)  # fmt: skip
def test_shared_work_that_is_another_or_cost_nonsense(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    place = Place(tmp_path, "shared")
    path = place.write()
    tensors, header = load_tensors(path)
    save_tensors(tensors, {**header, **change}, path)
    assert_set_aside(place, path)


def test_shared_work_of_the_first_release_has_no_digest(tmp_path: Path) -> None:
    place = Place(tmp_path, "shared")
    path = place.write()
    tensors, header = load_tensors(path)
    del header["digest"]
    save_tensors(tensors, header, path)
    assert place.read() is not None


@pytest.mark.parametrize(
    "cost", [5, {"seconds": "x"}, {"seconds": -1.0}, {"attempts": 10**30},
             {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": True}],
    ids=str,
)  # fmt: skip
def test_costs_that_cannot_be(cost: Any) -> None:
    with pytest.raises(UnfitStateError):
        Meter(CPU, cost)


class Keeps:
    """Gives back one state, whatever it is."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def load(self, device: torch.device) -> Any:
        return self.state


@pytest.mark.parametrize("seconds", ["x", -1.0, float("nan"), float("inf"), 10**30, True, None, []])
def test_long_work_that_cannot_have_taken_so_long(seconds: Any) -> None:
    keeper: Any = Keeps({"seconds": seconds, "state": {"done": 3}})
    work = LongWork(keeper)
    assert work.resume(lambda state: state["done"]) == 0
    assert work.seconds >= 0
    keeper.state["seconds"] = 2.5
    assert LongWork(keeper).resume(lambda state: state["done"]) == 3


@pytest.mark.parametrize("done", [-1, True, 2.5, "3", None])
def test_long_work_that_did_no_such_steps(done: Any) -> None:
    keeper: Any = Keeps({"seconds": 1.0, "state": {"done": done}})
    with pytest.raises(UnfitStateError):
        LongWork(keeper).resume(lambda state: state["done"])


class Ten:
    """A method of ten steps that takes any state."""

    def steps(self) -> int:
        return 10

    def load_state_dict(self, state: Any) -> None:
        """Take it."""


@pytest.mark.parametrize(
    "change",
    [
        {"done": -(10**12)}, {"done": 11}, {"done": 2.0}, {"done": True}, {"done": None},
        {"last": {"loss": float("nan")}}, {"last": {"loss": "x"}}, {"last": 3},
    ],
    ids=str,
)  # fmt: skip
def test_places_in_a_loop_that_cannot_be(change: dict[str, Any]) -> None:
    state = {"done": 3, "last": {"loss": 1.0}, "method": {}, "ctx": {}, "shared": [], **change}
    nothing: Any = None
    loop = Loop(Ten(), nothing, Attempt(), nothing)  # type: ignore[arg-type]
    with pytest.raises(UnfitStateError):
        loop.load_state_dict(state)


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": 101.0}, {"accuracy": float("nan")}, {"accuracy": None}, {"accuracy": "x"},
        {"train_seconds": float("inf")}, {"test_seconds": -1.0}, {"more": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_outcomes_of_networks_that_cannot_be(change: dict[str, Any]) -> None:
    good = {
        "accuracy": 50.0, "final_loss": float("nan"), "train_seconds": 1, "test_seconds": 0.5,
        "diverged": True,
    }  # fmt: skip
    assert NetOutcome.from_state(good).accuracy == 50.0
    with pytest.raises((TypeError, ValueError)):
        NetOutcome.from_state({**good, **change})
