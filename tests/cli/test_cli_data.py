"""``bench data``: what each command prints, and that its errors are errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.cli.data import data
from bench.support.errors import BenchError


def test_import_list_and_verify(npz: Path, folder: Path) -> None:
    made = _data("import", "mine", str(npz), "--note", "two [bold] blobs", "--flip", folder=folder)
    assert "mine: 4 train, 2 test, 2 classes, 1x3x3, sha256 " in made.output
    assert "note: two [bold] blobs" in made.output
    listing = _data("list", folder=folder).output
    assert ["mine", "ready", "2", "1x3x3", "4", "2"] in [
        line.split() for line in listing.splitlines()
    ]
    assert "mine: two [bold] blobs" in listing
    assert _data("verify", folder=folder).output.startswith("mine: ok ")


def test_both_listings_show_what_files_say_and_no_markup(npz: Path, folder: Path) -> None:
    note = "see [/foo] and [red]\x1b[31m"
    _data("import", "mine", str(npz), "--note", note, folder=folder)
    path = next(folder.glob("mine*.sha256"))
    path.unlink()  # what it was checked against
    both = (
        _data("list", folder=folder),
        CliRunner().invoke(
            main, ["list", "datasets", "--data-dir", str(folder)], env={"COLUMNS": "200"}
        ),
    )
    for result in both:
        assert result.exit_code == 0, result.output
        assert "see [/foo] and [red]" in result.output
        assert "\x1b" not in result.output
        assert "ready, unverified" in result.output


def test_list_as_json(npz: Path, folder: Path) -> None:
    _data("import", "mine", str(npz), folder=folder)
    rows = {row["name"]: row for row in json.loads(_data("list", "--json", folder=folder).output)}
    assert rows["mine"]["shape"] == [1, 3, 3]
    assert (rows["mine"]["train"], rows["mine"]["from"]) == (4, "imported")
    assert len(rows["mine"]["sha256"]) == 64
    assert (rows["svhn"]["state"], rows["svhn"]["classes"]) == ("not fetched", 10)


def test_fetch_packs_the_digits(folder: Path) -> None:
    assert "digits: 1,437 train, 360 test" in _data("fetch", "digits", folder=folder).output
    assert (folder / "digits.safetensors").is_file()


def test_a_plugin_file_brings_a_dataset(folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "blobs.py"
    plugin.write_text(PLUGIN)
    out = _data("fetch", "blobs", "--plugin", str(plugin), folder=folder).output
    assert "blobs: 4 train, 2 test, 2 classes, 1x2x2" in out


def test_verify_names_every_damaged_file(npz: Path, folder: Path) -> None:
    for name in ("one", "two", "whole"):
        _data("import", name, str(npz), folder=folder)
    for name in ("one", "two"):
        path = folder / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    (folder / "whole.safetensors.sha256").unlink()
    result = CliRunner().invoke(data, ["verify", "--data-dir", str(folder)])
    assert isinstance(result.exception, BenchError)
    assert "one.safetensors" in str(result.exception)
    assert "two.safetensors" in str(result.exception)
    assert result.output.splitlines()[:2] == ["one: FAILED", "two: FAILED"]
    assert result.output.splitlines()[2].startswith("whole: unverified")
    listing = _data("list", folder=folder).output
    assert "one: dataset file" in listing


def test_verify_says_once_that_there_is_no_such_dataset(npz: Path, folder: Path) -> None:
    _data("import", "mine", str(npz), folder=folder)
    for names, said in (
        (["mine", "mina"], "unknown dataset 'mina'. Did you mean 'mine'?"),
        (["cifar10"], "dataset 'cifar10' is not in "),
    ):
        result = CliRunner().invoke(main, ["data", "verify", *names, "--data-dir", str(folder)])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"error: {said}")
        assert result.stderr.count("\n") == 1


def test_errors_end_with_exit_code_2_and_one_message(npz: Path, folder: Path) -> None:
    result = CliRunner().invoke(
        main, ["data", "import", "../up", str(npz), "--data-dir", str(folder)]
    )
    assert result.exit_code == 2
    assert "error: dataset name '../up' is not allowed" in result.output
    assert "Traceback" not in result.output


def test_the_folder_comes_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(folder))
    assert CliRunner().invoke(data, ["fetch", "digits"]).exit_code == 0
    assert (folder / "digits.safetensors").is_file()


PLUGIN = """
import numpy as np
from bench.plugin import DatasetSource, DatasetSpec, register
from bench.plugin.datasets import Arrays

@register("dataset")
class Blobs(DatasetSource):
    name = "blobs"
    spec = DatasetSpec("blobs", 2, 1, 2, 2, (0.5,), (0.25,), True)

    def load(self, workdir, progress):
        x = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
        y = np.array([0, 1, 0, 1])
        return Arrays(x, y, x[:2], y[:2])
"""


def _data(*arguments: str, folder: Path) -> Result:
    result = CliRunner().invoke(
        data, [*arguments, "--data-dir", str(folder)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    x = np.arange(36, dtype=np.uint8).reshape(4, 3, 3)
    y = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "m.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    return tmp_path / "m.npz"
