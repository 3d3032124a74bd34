"""``bench.run`` as a user calls it: lists, an error in place of nothing, and its own terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api import EveryCellFailedError
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
    ],
)
def test_messages_name_parameters_of_the_call(
    wrong: dict[str, Any], message: str, tmp_path: Path, data_dir: Path
) -> None:
    call = {"method": "random", "dataset": "digits", "ipc": 1, **SMALL, **wrong}
    with pytest.raises(BenchError, match=message) as caught:
        bench.run(**call, store=tmp_path, data_dir=data_dir)
    assert "--" not in str(caught.value)
