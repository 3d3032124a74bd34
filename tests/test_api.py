"""``bench.run`` as a user calls it: lists, an error in place of nothing, and its own terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api import EveryCellFailedError
from bench.grid.python_terms import in_python_terms
from bench.support.comma_list import split_commas
from bench.support.errors import BenchError

SMALL: dict[str, Any] = {"arch": "convnet1(width=4,norm=none)", "eval_nets": 1, "profile": "smoke"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        (" a , ,b,", ["a", "b"]),
        ("f(x=1,y=2),b", ["f(x=1,y=2)", "b"]),
        ("", []),
    ],
)
def test_commas(text: str, parts: list[str]) -> None:
    assert split_commas(text) == parts


def test_texts_with_commas_are_lists(tmp_path: Path, data_dir: Path) -> None:
    where = {"store": tmp_path, "data_dir": data_dir}
    frame = bench.run("random,k-center", "digits", "1,2", **where, **SMALL)
    assert set(zip(frame["method"], frame["ipc"], strict=True)) == {
        ("random", 1), ("random", 2), ("k-center", 1), ("k-center", 2),
    }  # fmt: skip
    again = bench.run(["random", "k-center"], ["digits"], [1, 2], **where, **SMALL)
    assert list(again["cell_id"]) == list(frame["cell_id"])


@pytest.mark.usefixtures("toys")
def test_an_error_says_why_every_cell_failed(tmp_path: Path, data_dir: Path) -> None:
    where = {"store": tmp_path, "data_dir": data_dir}
    with pytest.raises(EveryCellFailedError, match=r"toy-fails on digits: .*the toy broke"):
        bench.run("toy-fails", "digits", 1, **where, **SMALL)
    frame = bench.run("toy-fails,random", "digits", 1, **where, **SMALL)
    assert list(frame["method"]) == ["random"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, r"^seeds 0 is not allowed"),
        ({"eval_nets": 0}, r"^eval_nets 0 is not allowed"),
        ({"method": ()}, r"name at least one method: "),
        ({"dataset": ""}, r"name at least one dataset; `bench list datasets`"),
        ({"overrides": {"dm": {}}}, r"unknown method in overrides 'dm'"),
        ({"recompute": "dm"}, r"unknown method in recompute 'dm'"),
        ({"ipc": "ten"}, r"IPC 'ten'"),
        ({"ipc": None}, r"IPC None is not allowed: it must be a whole number"),
        ({"method": None}, r"^method None is not allowed: it must be a name or several"),
        ({"dataset": 5}, r"^dataset 5 is not allowed: it must be a name or several"),
        ({"method": ["random", 5]}, r"^method 5 is not allowed: it must be a text"),
        ({"seeds": None}, r"^seeds None is not allowed: it must be a whole number"),
        ({"seeds": 1.5}, r"^seeds 1.5 is not allowed"),
        ({"arch": None}, r"^arch None"),
        ({"protocol": 5}, r"^protocol 5 is not allowed: it must be a text"),
        ({"protocol": "quik"}, r"unknown protocol 'quik'. Did you mean 'quick'"),
        ({"profile": None}, r"^profile None is not allowed"),
        ({"mode": "stream"}, r"mode stream is not one of any chosen method"),
        ({"overrides": {"random": 5}}, r"^overrides 5 is not allowed: it must be a table"),
        ({"overrides": [1]}, r"^overrides \[1\] is not allowed"),
        ({"plugins": "absent.py"}, r"plugin file .*absent.py' does not exist"),
        ({"plugins": 5}, r"^plugins 5 is not allowed: it must be a path"),
        ({"device": None}, r"^device None"),
        (
            {"device": "cuda:99"},
            r"device 'cuda:99' is not available on .*; try device cpu",
        ),
        ({"time_budget": "8h"}, r"^time_budget '8h' is not allowed: it must be a number of sec"),
        ({"time_budget": float("nan")}, r"^time_budget nan"),
        ({"checkpoint_every": -1}, r"^checkpoint_every -1 is not allowed"),
        ({"threads": "a"}, r"^threads 'a' is not allowed"),
        ({"deterministic": "yes"}, r"^deterministic 'yes' is not allowed: it must be True or"),
        ({"keep_cached": 5}, r"^keep_cached 5"),
        ({"no_wait": "x"}, r"^no_wait 'x'"),
        ({"recompute": 5}, r"^recompute 5"),
        ({"reporter": 5}, r"^reporter 5 is not allowed"),
        ({"execute": 5}, r"^execute 5 is not allowed"),
    ],
)
def test_messages_name_parameters_of_the_call(
    wrong: dict[str, Any], message: str, tmp_path: Path, data_dir: Path
) -> None:
    call = {"method": "random", "dataset": "digits", "ipc": 1, **SMALL, **wrong}
    with pytest.raises(BenchError, match=message) as caught:
        bench.run(**call, store=tmp_path, data_dir=data_dir)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("store", None), ("data_dir", 5)])
def test_a_folder_that_is_no_path_is_refused(name: str, value: Any, tmp_path: Path) -> None:
    call = {"store": tmp_path, "data_dir": tmp_path, name: value}
    with pytest.raises(BenchError, match=f"^{name} {value} is not allowed: it must be a path"):
        bench.run("random", "digits", 1, **call, **SMALL)


@pytest.fixture(scope="module")
def digits(data_dir: Path) -> bench.api.Dataset:
    return bench.load_dataset("digits", data_dir=data_dir)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "rndom"}, r"unknown method 'rndom'. Did you mean 'random'"),
        ({"method": int}, r"^method <class 'int'> is not allowed"),
        ({"real": "digits"}, r"^real 'digits' is not allowed: it must be a real set: bench.load"),
        ({"ipc": 0}, r"^ipc 0 is not allowed: it must be a whole number from 1 up"),
        ({"ipc": "x"}, r"^ipc 'x' is not allowed"),
        ({"ipc": True}, r"^ipc True is not allowed"),
        ({"ipc": 5000}, r"random does not apply to digits: the smallest class holds"),
        ({"seed": "a"}, r"^seed 'a' is not allowed: it must be a whole number from 0 up"),
        ({"arch": 5}, r"^arch 5 is not allowed"),
        ({"params": 5}, r"^params 5 is not allowed"),
        ({"params": {"x": 1}}, r"unknown parameter of random 'x'"),
        ({"profile": 5}, r"unknown profile '5'"),
    ],
)
def test_a_wrong_argument_of_distil(
    wrong: dict[str, Any], message: str, digits: bench.api.Dataset
) -> None:
    with pytest.raises(BenchError, match=message):
        bench.distil(**{"method": "random", "real": digits.train, "ipc": 1, **wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distilled": 5}, r"^distilled 5 is not allowed: it must be a distilled set or images"),
        ({"test": "digits"}, r"^test 'digits' is not allowed: it must be a real set"),
        ({"mode": "x"}, r"unknown mode of the image set 'x'. Known: stored"),
        ({"seeds": 0}, r"^seeds 0 is not allowed"),
        ({"seed": -1}, r"^seed -1 is not allowed"),
        ({"ipc": "x"}, r"^ipc 'x' is not allowed"),
        ({"ipc": 3}, r"holds 1 images per class, not IPC 3"),
        ({"arch": None}, r"^arch None is not allowed"),
    ],
)
def test_a_wrong_argument_of_evaluate(
    wrong: dict[str, Any], message: str, digits: bench.api.Dataset
) -> None:
    made = bench.distil("random", digits.train, ipc=1).distilled
    with pytest.raises(BenchError, match=message):
        bench.evaluate(**{"distilled": made, "test": digits.test, **wrong})


def test_wrong_sources_and_names() -> None:
    with pytest.raises(BenchError, match=r"^name 5 is not allowed"):
        bench.load_dataset(5)
    with pytest.raises(BenchError, match=r"^source 5 is not allowed"):
        bench.load(5)


def test_a_grid_that_is_all_skipped_says_why(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(EveryCellFailedError, match=r"^every cell was skipped: random on digits: "):
        bench.run("random", "digits", 5000, store=tmp_path, data_dir=data_dir, **SMALL)


def test_flags_in_commands_stay() -> None:
    text = "give --eval-arch, or run `bench data fetch x --replace`; see --set and --lr"
    assert in_python_terms(text) == (
        "give eval_arch, or run `bench data fetch x --replace`; see overrides and learning_rate"
    )


def test_the_module_lists_its_names() -> None:
    assert dir(bench) == sorted(bench.__all__)
    for name in ("run", "distil", "evaluate", "load", "load_dataset", "BenchError"):
        assert name in dir(bench)
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    assert bench.BenchError is BenchError
    assert bench.EveryCellFailedError is EveryCellFailedError
