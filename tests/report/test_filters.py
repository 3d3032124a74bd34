"""Filters: what they keep, and what they say when there is nothing to keep."""

from __future__ import annotations

import pytest
from report_frames import cell, example_failures, example_frame, failures_of, frame_of

from bench.report.filters import select
from bench.support.errors import BenchError, UnknownNameError


def test_no_filter_keeps_all() -> None:
    kept, failed = select(example_frame(), example_failures(), {"dataset": None, "method": None})
    assert (len(kept), len(failed)) == (len(example_frame()), 1)


def test_filters_hold_together() -> None:
    wanted = {"dataset": ["svhn"], "method": ["dm", "dim"]}
    kept, failed = select(example_frame(), example_failures(), wanted)
    assert set(kept.dataset) == {"svhn"}
    assert set(kept.method) == {"dm", "dim"}
    assert len(failed) == 1
    assert select(example_frame(), example_failures(), {"method": ["dim"]})[1].empty


def test_a_profile_keeps_what_all_profiles_share() -> None:
    frame = frame_of(cell(profile="any"), cell(profile="lite"), cell(profile="paper"))
    assert set(select(frame, failures_of(), {"profile": ["lite"]})[0].profile) == {"lite", "any"}


def test_ipc_is_named_as_it_is_written() -> None:
    frame = frame_of(cell(ipc=1), cell(ipc=10), cell(ipc=None))
    kept, failed = select(frame, failures_of(), {"ipc": ["1"]})
    assert kept.ipc.tolist() == [1]
    assert failed.empty
    with pytest.raises(UnknownNameError, match=r"unknown ipc in the store '11'.*Known: 1, 10\."):
        select(frame, failures_of(), {"ipc": ["11"]})


def test_a_protocol_may_be_named_without_its_version() -> None:
    frame = frame_of(*(cell(protocol=p) for p in ("quick-v1", "quick-v2", "default-v1")))
    for value, count in (("quick", 2), ("quick-v2", 1)):
        assert len(select(frame, failures_of(), {"protocol": [value]})[0]) == count


def test_a_judge_is_named_as_it_was_given() -> None:
    frame = frame_of(cell(eval_arch="convnet3"), cell(eval_arch="vit"))
    kept, _ = select(frame, failures_of(), {"eval_arch": ["vit"]})
    assert kept.eval_arch.tolist() == ["vit"]
    with pytest.raises(UnknownNameError, match="unknown eval-arch in the store 'vti'"):
        select(frame, failures_of(), {"eval_arch": ["vti"]})


def test_an_unknown_value_is_named_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown method in the store 'dmi'.*dim"):
        select(example_frame(), example_failures(), {"method": ["dmi"]})


def test_values_that_never_meet_are_named() -> None:
    with pytest.raises(BenchError, match="no result with dataset svhn, method whole together"):
        select(example_frame(), example_failures(), {"dataset": ["svhn"], "method": ["whole"]})
