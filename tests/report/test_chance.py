"""Accuracies at chance: which are, what is said of them, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from report_rows import evaluation, write_store

from bench.cli import main
from bench.report.aggregate import collect
from bench.report.chance import CAUSES, chance_notes, is_at_chance, noise_limit

SVHN = {"dataset": "svhn", "n_test": 26032, "num_classes": 10, "method": "gan", "mode": "stream"}


def test_noise_is_two_standard_deviations_of_guesses() -> None:
    assert noise_limit(2, 100) == pytest.approx(60)
    assert noise_limit(10, 10_000) == pytest.approx(10.6)
    assert noise_limit(200, 10_000) == pytest.approx(0.641, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accuracies": (10.2, 10.0)}, True),
        ({"accuracies": (7.0, 6.0)}, True),
        ({"accuracies": (10.2, 11.0)}, False),
        ({"accuracies": (10.2, 11.0), "n_test": 360}, True),
        ({"accuracies": (0.5, 0.5), "num_classes": 200}, True),
        ({"accuracies": (1.4, 1.4), "num_classes": 200}, False),
        ({"accuracies": (10.0,), "diverged": (1,)}, False),
        ({"accuracies": (10.0, 10.0), "percent": 25}, False),
        ({"accuracies": (10.0, 10.0), "num_classes": None}, False),
        ({"accuracies": (10.0, 10.0), "n_test": 0}, False),
        ({"accuracies": (100.0, 100.0), "num_classes": 1}, False),
    ],
)
def test_what_is_at_chance(changes: dict[str, object], expected: bool) -> None:
    (row,) = collect([evaluation(**{**SVHN, **changes})])
    assert is_at_chance(row) is expected


def test_one_note_names_all_results_of_a_dataset_with_the_likely_causes() -> None:
    cells = [
        evaluation(**SVHN, accuracies=(accuracy, accuracy), ipc=ipc, cell_id=f"{ipc}")
        for ipc, accuracy in ((1, 9.9), (10, 10.1), (50, 42.0))
    ]
    (note,) = chance_notes(collect(cells))
    assert note.startswith(
        "No better than chance on svhn, which is 10.0 % for 10 classes (up to 10.4 % is noise on "
        "26,032 test images): GAN stream, IPC 1, 10. Likely causes: images in other units"
    )
    for cause in ("normalised twice", "labels in another order", "too few steps"):
        assert cause in note
    assert chance_notes(collect(cells[2:])) == []


@pytest.mark.parametrize("layout", ["full", "paper"])
def test_it_stands_under_the_table(layout: str, tmp_path: Path) -> None:
    write_store(tmp_path / "bad", [evaluation(num_classes=10, accuracies=(10.0, 10.1))])
    write_store(tmp_path / "good", [evaluation(num_classes=10)])
    for store, expected in (("bad", 1), ("good", 0)):
        words = ["table", "--layout", layout, "--format", "md", "--store", str(tmp_path / store)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        assert result.output.count("No better than chance") == expected
        assert result.output.count(CAUSES[1:]) == expected
