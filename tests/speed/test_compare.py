"""Stages take turns with plain loops, each in a process of its own."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import compare
import pytest
import torch
from plain.elsewhere import plain_elsewhere
from plain.stages import PLAIN

from bench.speed import stages
from bench.speed.measuring import Observation, Spread
from bench.speed.stages import STAGES


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "IMAGES_PER_CLASS", 30)
    monkeypatch.setattr("bench.speed.peak.MATRIX_SIDES", {"cpu": 32})
    monkeypatch.setattr("bench.speed.peak.CONVOLUTIONS", {"cpu": ((1, 4, 8),)})


def test_every_stage_has_a_plain_loop() -> None:
    assert PLAIN.keys() == STAGES.keys()


def test_a_plain_loop_has_a_process_of_its_own() -> None:
    with plain_elsewhere("gather", torch.device("cpu"), 1) as observe:
        first, second = observe(1), observe(2)
    assert first.seconds > 0
    assert second.seconds > 0


def test_ratios_are_pair_by_pair() -> None:
    plain = {"units": 2, "seconds": [1.0, 2.0, 4.0]}
    ours = {"units": 10, "seconds": [1.0, 1.0, 1.0]}
    assert compare.ratios(ours, plain) == Spread(10.0, 5.0, 20.0)


def test_ratios_are_those_to_the_plain_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def slow(stage: str, device: torch.device, threads: int):
        yield lambda units: Observation(1000.0 * units, 0)

    monkeypatch.setattr(compare, "plain_elsewhere", slow)
    path = tmp_path / "speed.md"
    compare.main(["--device", "cpu", "--stage", "gather", "--seconds", "0", "-o", str(path)])
    text = path.read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    for words in ("plain fp32", "ours fp32", "Spread of ratio", "always fp32"):
        assert words in text
