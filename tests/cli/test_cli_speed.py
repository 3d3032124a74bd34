"""``bench speed`` from the command line, on stages small enough for a test."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.speed import session, stages
from bench.speed.stages import STAGES

STAGE_KEYS = {"stage", "title", "images_per_unit", "flops_per_image", "sides"}
SIDE_KEYS = {
    "side", "precision", "units", "seconds", "images_per_second", "fraction_of_peak",
    "page_faults_per_image",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    """Peaks of tiny operations, few real images, and a stage that computes almost nothing."""

    def runner(seconds: float):
        return lambda units: units * seconds

    quick = dataclasses.replace(
        STAGES["dm"], name="quick", title="quick | work", images=8, flops=2e6,
        work=lambda real, precision: runner(0.1 if precision == "fp32" else 0.05),
    )  # fmt: skip
    lacking = dataclasses.replace(quick, name="lacking", method="no-such-method")
    monkeypatch.setitem(STAGES, "quick", quick)
    monkeypatch.setitem(STAGES, "lacking", lacking)
    monkeypatch.setattr(stages, "IMAGES_PER_CLASS", 30)
    monkeypatch.setattr("bench.speed.peak.MATRIX_SIDES", {"cpu": 32})
    monkeypatch.setattr("bench.speed.peak.CONVOLUTIONS", {"cpu": ((1, 4, 8),)})


def invoke(*arguments: str):
    return CliRunner().invoke(main, ["speed", "--device", "cpu", "--seconds", "0", *arguments])


def record(*arguments: str) -> dict:
    result = invoke("--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_record_holds_what_it_says() -> None:
    found = record("--stage", "quick,lacking")
    assert found["schema"] == 3
    assert found["environment"]["packages"]["torch"]
    assert found["environment"]["device_name"]
    assert found["peak"].keys() == {"fp32", "bf16"}
    assert found["skipped"] == [
        {"stage": "lacking", "reason": "method 'no-such-method' is not installed"}
    ]
    (stage,) = found["stages"]
    assert stage.keys() == STAGE_KEYS
    full, half = stage["sides"]
    assert [(s["side"], s["precision"]) for s in (full, half)] == [
        ("ours", "fp32"),
        ("ours", "bf16"),
    ]
    assert full.keys() == SIDE_KEYS
    assert len(full["seconds"]) == 5
    assert full["images_per_second"]["median"] == pytest.approx(80)
    peak = found["peak"]["bf16"]["flops_per_second"]
    assert half["fraction_of_peak"] == pytest.approx(160 * 2e6 / peak)


def test_tables_are_printed_and_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "speed.md"
    result = invoke("--stage", "quick,lacking", "--precision", "bf16", "-o", str(path))
    assert result.exit_code == 0, result.output
    text = path.read_text()
    for words in ("160", "lacking was skipped", "median of 5 repeats"):
        assert words in text
        assert words in " ".join(result.stdout.split())
    assert r"quick \| work" in text
    assert "ours fp32" not in text
    assert "Ratio" not in text


@pytest.mark.parametrize("stage", ["dsa", "gather"])
def test_a_real_stage_can_be_measured(stage: str) -> None:
    (found,) = record("--stage", stage)["stages"]
    assert [s["precision"] for s in found["sides"]] == ["fp32"]
    assert all(s["images_per_second"]["min"] > 0 for s in found["sides"])
    assert found["flops_per_image"] is None


def test_every_stage_names_a_method_that_exists_or_none() -> None:
    from bench.registry.registry import METHODS

    assert {s.method for s in STAGES.values()} <= {None, *METHODS.names(), "no-such-method"}


def test_memory_is_told_with_the_stage_it_belongs_to(monkeypatch) -> None:
    quick = dataclasses.replace(STAGES["quick"], name=session.FOOTPRINT_STAGE)
    monkeypatch.setitem(STAGES, session.FOOTPRINT_STAGE, quick)
    monkeypatch.setattr(session, "peak_bytes", lambda device, precision: 2**30)
    result = invoke("--stage", session.FOOTPRINT_STAGE, "--precision", "fp32")
    assert "1.00 GiB" in result.stdout


def test_a_busy_machine_is_told_before_and_after(monkeypatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (3.0, 2.0, 1.0))
    result = invoke("--stage", "quick")
    assert "warning: this machine is busy (load average 3.00" in result.stderr
    assert "This machine is busy" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "gam"], "unknown stage 'gam'"),
        (["--repeats", "4"], "at least 5"),
        (["--precision", "fp8"], "unknown precision 'fp8'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["-o", "/dev/null/speed.md"], "cannot be written"),
    ],
)
def test_wrong_options(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
