"""``bench evaluate``: the command line, the API and the table agree; results are cells."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from foreign_files import LAYOUTS, Sample, digits_sample

import bench
from bench.cli import main
from bench.distilled.io import save
from bench.exchange.opened import open_sets
from bench.registry.registry import METHODS
from bench.support.errors import BenchError

FAST = ("--protocol", "smoke", "--eval-arch", "mlp")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def call(store: Path, *arguments: Any, code: int = 0) -> Result:
    words = [str(word) for word in arguments]
    result = CliRunner().invoke(main, [*words, "--store", str(store)])
    assert result.exit_code == code, result.output
    return result


def evaluated(store: Path, source: Path, *more: Any) -> dict[str, Any]:
    result = call(store, "evaluate", source, "--dataset", "digits", *FAST, "--json", *more)
    return dict(json.loads(result.stdout))


def test_a_source_that_is_not_there_waits_for_no_download(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "nowhere.pt"
    more = ("--dataset", "cifar10", "--data-dir", tmp_path / "data")
    result = call(store, "evaluate", source, *more, code=2)
    assert result.stderr.startswith(f"error: '{source}' does not exist: give a .pt")
    assert not (tmp_path / "data").exists()


def test_the_command_the_api_and_the_table_agree(
    sample: Sample, tmp_path: Path, store: Path
) -> None:
    source = LAYOUTS["vico"](sample, tmp_path)
    found = evaluated(store, source, "--name", "dm-released")
    assert [row["seed"] for row in found["results"]] == [0, 1]
    (first, second) = (row["accuracies"] for row in found["results"])
    test = bench.load_dataset("digits").test
    for seed, (reading, accuracies) in enumerate(
        zip(open_sets(str(source), sample.real), (first, second), strict=True)
    ):
        result = bench.evaluate(
            reading.distilled, test, arch="mlp", protocol="smoke", seed=seed, ipc=10
        )
        assert list(result.accuracies) == accuracies
    table = json.loads(call(store, "table", "--format", "json").stdout)
    (row,) = table["results"] if isinstance(table, dict) else table
    assert (row["method"], row["origin"], row["profile"]) == ("dm-released", "imported", "imported")
    assert (row["ipc"], row["n"]) == (10, 4)
    assert list(row["accuracies"]) == [*first, *second]


@pytest.mark.parametrize("command", ["evaluate", "run"])
def test_a_plugin_that_changes_the_folder_does_not_split_the_store(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plugin = tmp_path / "moving.py"
    plugin.write_text(
        "import os\nfrom bench.plugin import register, SelectionMethod\n"
        f"os.chdir({str(elsewhere)!r})\n"
        f"@register('method')\nclass Moving(SelectionMethod):\n    name = 'moving-{command}'\n"
        "    def select(self):\n        return None\n"
    )
    monkeypatch.chdir(tmp_path)
    source = LAYOUTS["npz"](sample, tmp_path)
    what = [str(source), "--dataset", "digits"] if command == "evaluate" else ["-m", "random"]
    more = [] if command == "evaluate" else ["-d", "digits", "--ipc", "1", "--profile", "smoke"]
    arguments = [command, *what, *more, *FAST, "--plugin", str(plugin), "--store", "mine"]
    result = CliRunner().invoke(main, arguments)
    METHODS.unregister(f"moving-{command}")
    assert result.exit_code == 0, result.output
    assert not list(elsewhere.iterdir())
    assert len(list((tmp_path / "mine" / "cells").iterdir())) >= 2


def test_a_second_call_is_cached(sample: Sample, tmp_path: Path, store: Path) -> None:
    source = LAYOUTS["npz"](sample, tmp_path)
    before = evaluated(store, source)
    again = call(store, "evaluate", source, "--dataset", "digits", *FAST)
    assert again.stderr.count("cached") == 2
    assert evaluated(store, source) == before


def test_it_is_the_number_of_the_cell_itself(tmp_path: Path, store: Path) -> None:
    """A set of our own, evaluated as a file: the same bits."""
    real = bench.load_dataset("digits")
    made = bench.distil("random", real.train, ipc=2, seed=0).distilled
    save(made, tmp_path / "set.safetensors")
    ours = bench.evaluate(made, real.test, arch="mlp", protocol="smoke", ipc=2)
    found = evaluated(store, tmp_path / "set.safetensors")
    assert found["results"][0]["accuracies"] == list(ours.accuracies)


def test_the_record_keeps_how_it_was_read(sample: Sample, tmp_path: Path, store: Path) -> None:
    evaluated(store, LAYOUTS["idc"](sample, tmp_path), "--factor", 2)
    records = [json.loads(path.read_text()) for path in store.glob("cells/*/record.json")]
    (distil,) = (record for record in records if record["kind"] == "distil")
    facts = {fact["name"]: fact for fact in distil["labels"]["read_as"]["facts"]}
    assert (facts["factor"]["value"], facts["factor"]["how"]) == ("2x2 images in one", "given")
    assert distil["labels"]["origin"] == "imported"
    call(store, "verify")


def test_soft_labels_are_named_in_the_table(sample: Sample, tmp_path: Path, store: Path) -> None:
    found = evaluated(store, LAYOUTS["datm"](sample, tmp_path), "--temperature", 2)
    assert found["results"][0]["labels"] == "soft"
    assert found["results"][0]["stored_bytes"] == sample.normalised.nbytes + 100 * 10 * 4
    assert "Labels" in call(store, "table").stdout


def test_an_unbalanced_set_is_used_as_a_whole(sample: Sample, tmp_path: Path, store: Path) -> None:
    torch.save({"images": sample.normalised[:95], "labels": sample.labels[:95]}, tmp_path / "u.pt")
    found = evaluated(store, tmp_path / "u.pt")
    assert (found["results"][0]["ipc"], found["results"][0]["distinct_images"]) == (None, 95)
    assert "unbalanced" in json.dumps(found["read_as"])


def test_two_sets_cannot_have_one_name(sample: Sample, tmp_path: Path, store: Path) -> None:
    evaluated(store, LAYOUTS["npz"](sample, tmp_path), "--name", "theirs")
    torch.save({"images": sample.normalised, "labels": sample.labels}, tmp_path / "b.pt")
    result = call(
        store,
        "evaluate",
        tmp_path / "b.pt",
        "--dataset",
        "digits",
        "--name",
        "theirs",
        *FAST,
        code=2,
    )
    assert "another set that is called 'theirs': give this one a --name" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "random"), "is a registered method"),
        (("--name", "a,b"), "is not allowed: use letters"),
        (("--seeds", 2), "holds 1 set, not --seeds 2"),
        (("--ipc", 3), "holds 10 images per class, not --ipc 3"),
        (("--protocol", "defualt"), "Did you mean 'default'"),
        (("--eval-arch", "resnt18"), "Did you mean 'resnet18'"),
        (("--normalisation", "datset"), "Did you mean 'dataset'"),
        (("--zca", "maybe"), "unknown zca 'maybe'"),
        (("--mode", "frozn"), "Did you mean 'frozen'"),
        (("--mode", "frozen"), "set has stored"),
        (("--image-column", "img"), "is no Hugging Face dataset"),
        (("--stored-as", "int8"), "Did you mean 'uint8'"),
    ],
)
def test_a_wrong_option(
    options: tuple[Any, ...], words: str, sample: Sample, tmp_path: Path, store: Path
) -> None:
    source = LAYOUTS["npz"](sample, tmp_path)
    result = call(store, "evaluate", source, "--dataset", "digits", *options, code=2)
    assert words in result.stderr
    assert not list(store.glob("cells/*"))


def test_the_dataset_must_be_named(tmp_path: Path, store: Path) -> None:
    assert "name the --dataset" in call(store, "evaluate", tmp_path, code=2).stderr


def test_a_dry_run_computes_nothing(sample: Sample, tmp_path: Path, store: Path) -> None:
    source = LAYOUTS["mtt"](sample, tmp_path)
    result = call(store, "evaluate", source, "--dataset", "digits", "--dry-run")
    assert "normalised with the dataset's mean and std" in " ".join(result.stderr.split())
    assert "warning: methods that publish this layout learn a rate" in result.stderr
    assert not store.exists()


def test_a_lost_file_is_asked_for(sample: Sample, tmp_path: Path, store: Path) -> None:
    """An imported set cannot be distilled again: the cell that needs it says what to do."""
    source = LAYOUTS["npz"](sample, tmp_path)
    evaluated(store, source)
    for artefact in store.glob("cells/*/artefact.safetensors"):
        artefact.unlink()
    found = evaluated(store, source)  # imports it again
    assert len(found["results"]) == 1


def test_the_api_loads_what_the_command_reads(sample: Sample, tmp_path: Path) -> None:
    source = LAYOUTS["vico"](sample, tmp_path)
    for experiment in (0, 1):
        made = bench.load(source, real=sample.real, experiment=experiment)
        assert torch.equal(made.tensors()["images"], sample.normalised)
    with pytest.raises(BenchError, match="holds 2 sets: there is no 2"):
        bench.load(source, real=sample.real, experiment=2)
    with pytest.raises(BenchError, match="does not say which dataset it distils"):
        bench.load(source)
    (tmp_path / "mtt").mkdir()
    with pytest.warns(UserWarning, match="give the learned one with learning_rate"):
        bench.load(LAYOUTS["mtt"](sample, tmp_path / "mtt"), real=sample.real)
    with warnings.catch_warnings(action="error"):
        given = bench.load(tmp_path / "mtt", real=sample.real, learning_rate=0.5)
    assert given.learning_rate == 0.5
