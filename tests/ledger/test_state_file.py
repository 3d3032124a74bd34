"""A nested state is the same after a file, and a damaged file is noticed."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.ledger.state_file import load_state, save_state
from bench.support.errors import BenchError

CPU = torch.device("cpu")

_DTYPES = [torch.float32, torch.bfloat16, torch.float64, torch.uint8, torch.int64, torch.bool]
_tensors = st.builds(
    lambda dtype, shape, seed: torch.randint(
        2, shape, generator=torch.Generator().manual_seed(seed)
    ).to(dtype),
    st.sampled_from(_DTYPES),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _tensors
_keys = st.text() | st.integers()
_states = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


def equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(v, other[k]) for k, v in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


@given(_states)
@settings(max_examples=50)
def test_a_state_comes_back_as_it_was(state: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(state, path)
        assert equal(load_state(path, CPU), state)


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_noticed(data: st.DataObject) -> None:
    state = {"weights": torch.arange(20.0), "step": 7, 3: [True, None, math.inf]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(state, path)
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            path.write_bytes(whole[:at])
        else:
            flipped = whole[at] ^ (1 << data.draw(st.integers(0, 7)))
            path.write_bytes(whole[:at] + bytes([flipped]) + whole[at + 1 :])
        try:
            found = load_state(path, CPU)
        except BenchError:
            return
        assert equal(found, state)  # a bit of padding, say


@pytest.mark.parametrize("bad", [{1.5: 0}, {True: 0}, {"x": object()}, [{"y": {1, 2}}]])
def test_what_a_file_cannot_hold_is_refused(bad: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a state"):
        save_state(bad, tmp_path / "state.safetensors")


def test_tensors_that_share_memory_are_kept_apart(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    save_state({"a": base, "b": base[2:4], "c": base.view(2, 3).T}, tmp_path / "s")
    found = load_state(tmp_path / "s", CPU)
    assert torch.equal(found["b"], base[2:4])
    assert torch.equal(found["c"], base.view(2, 3).T)
