"""The number of threads of a process: what depends on it, and who says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import bench
from bench.plugin import Profile
from bench.registry.registry import METHODS
from bench.support.machine import use_threads

CLUSTERS = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text(encoding="utf-8")
# Methods whose sums this machine rounds alike with one thread and with two; slow ones apart.
QUICK = ("random", "whole", "real-stream", "dm")
SLOW = ("herding", "k-center", "k-means", "forgetting")


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    use_threads(count)
    try:
        yield
    finally:
        use_threads(before)


def tensors(distilled: Any) -> dict[str, torch.Tensor]:
    """Return what a distilled set holds."""
    found = {k: v for k, v in vars(distilled).items() if isinstance(v, torch.Tensor)}
    assert found
    return found


@pytest.mark.parametrize(
    "method", [*QUICK, *(pytest.param(m, marks=pytest.mark.slow) for m in SLOW)]
)
def test_what_is_said_not_to_depend_on_threads_does_not(method: str, data_dir: Path) -> None:
    real = bench.load_dataset("digits", device="cpu", data_dir=data_dir).train
    made = []
    for count in (1, 2):
        with threads(count):
            made.append(tensors(bench.distil(method, real, ipc=1, profile="smoke").distilled))
    assert made[0].keys() == made[1].keys()
    for name, tensor in made[0].items():
        assert torch.equal(tensor, made[1][name]), name


def test_the_documentation_names_every_method_that_may_depend_on_threads() -> None:
    named = re.search(r"rounded\s+differently \(seen for (.*?); not for", CLUSTERS, re.DOTALL)
    assert named is not None
    builtin = {n for n in METHODS.names() if METHODS.entry(n).target.startswith("methods.")}
    assert set(re.findall(r"`([a-z-]+)`", named[1])) == builtin - {*QUICK, *SLOW}


@pytest.mark.usefixtures("no_diagnostics")
@pytest.mark.parametrize("method", ["gan", "dc"])
def test_smoke_distils_with_one_thread_unless_told_otherwise(
    method: str, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Profile({**METHODS.get("gan").profiles["smoke"].overrides, "max_steps": 2}, "2 steps")
    monkeypatch.setitem(METHODS.get("gan").profiles, "smoke", short)
    results = {}
    for store, count, given in (("one", 1, None), ("two", 2, None), ("given", 1, 2)):
        with threads(count):
            frame = bench.run(
                method, "digits", 1, profile="smoke",
                mode="frozen" if method == "gan" else (), eval_nets=1, threads=given,
                store=tmp_path / store, data_dir=data_dir, device="cpu",
            )  # fmt: skip
            (record,) = (
                found
                for path in (tmp_path / store / "cells").glob("*/record.json")
                if (found := json.loads(path.read_text()))["kind"] == "distil"
            )
            assert torch.get_num_threads() == (given or count), "it is as before"
        row = frame.iloc[0]
        assert row["distil_threads"] == record["environment"]["threads"] == (given or 1)
        assert row["threads"] == (given or count)
        results[store] = (record["result"]["artefact_sha256"], row["accuracies"])
    assert results["one"] == results["two"], "bits and accuracies"
