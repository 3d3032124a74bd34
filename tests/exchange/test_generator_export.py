"""Exported generators: files that are read back to the same bits, and a module that needs torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import bench
from bench.cli import main
from bench.datasets.real_set import RealSet
from bench.distilled.generator_set import GeneratorSet
from bench.exchange.opened import open_sets
from bench.support.errors import BenchError
from bench.support.seeds import make_generator

NAME = "gan-digits-seed0"


@dataclass(frozen=True)
class Exported:
    """A generator that was distilled and evaluated in both modes, and its exports.

    Attributes:
        store: of the run.
        distil_id: of its cell.
        accuracies: by mode.
        folders: of the exports, by format.
    """

    store: Path
    distil_id: str
    accuracies: dict[str, list[float]]
    folders: dict[str, Path]


def call(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Exported:
    root = tmp_path_factory.mktemp("generator")
    call(
        "run", "--method", "gan", "--dataset", "digits", "--ipc", 1, "--profile", "smoke",
        "--set", "gan.width=4", "--set", "gan.max_steps=2", "--mode", "stream,frozen",
        "--eval-arch", "mlp", "--store", root / "store", "--data-dir", data_dir, "--json",
    )  # fmt: skip
    rows = json.loads(call("table", "--store", root / "store", "--format", "json").stdout)
    accuracies = {row["mode"]: row["accuracies"] for row in rows["results"]}
    (distil_id,) = {row["distil_ids"][0] for row in rows["results"]}
    folders = {form: root / form for form in ("pt", "safetensors")}
    for form, folder in folders.items():
        call("export", distil_id, "-o", folder, "--store", root / "store", "--format", form)
    return Exported(root / "store", distil_id, accuracies, folders)


@pytest.fixture(scope="module")
def real(data_dir: Path) -> RealSet:
    return bench.load_dataset("digits", data_dir=data_dir).train


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_cell_and_export_have_the_same_numbers(form: str, made: Exported, tmp_path: Path) -> None:
    """The folder, as ``-o`` named it, in both modes."""
    result = call(
        "evaluate", made.folders[form], "--dataset", "digits", "--ipc", 1, "--protocol", "smoke",
        "--eval-arch", "mlp", "--json", "--store", tmp_path,
    )  # fmt: skip
    rows = json.loads(result.stdout)["results"]
    assert {row["mode"]: row["accuracies"] for row in rows} == made.accuracies
    assert set(made.accuracies) == {"stream", "frozen"}


def test_the_api_has_the_numbers_of_the_cell(made: Exported, data_dir: Path) -> None:
    """Frozen images are drawn from the seed of the distillation, which the set brings along."""
    test = bench.load_dataset("digits", data_dir=data_dir).test
    for distilled in (bench.load(made.distil_id, made.store), bench.load(made.folders["pt"])):
        for mode, accuracies in made.accuracies.items():
            result = bench.evaluate(distilled, test, ipc=1, mode=mode, arch="mlp", protocol="smoke")
            assert list(result.accuracies) == accuracies


def test_the_name_of_an_imported_generator_does_not_matter(made: Exported, tmp_path: Path) -> None:
    numbers = []
    for name in ("first", "second"):
        result = call(
            "evaluate", made.folders["pt"], "--dataset", "digits", "--ipc", 1, "--name", name,
            "--protocol", "smoke", "--eval-arch", "mlp", "--mode", "frozen", "--json",
            "--store", tmp_path,
        )  # fmt: skip
        (row,) = json.loads(result.stdout)["results"]
        numbers.append(row["accuracies"])
    assert numbers[0] == numbers[1] == made.accuracies["frozen"]


def test_images_come_back_bit_for_bit(made: Exported, real: RealSet) -> None:
    """What either mode trains on, drawn from the cell and from the file."""
    cell = bench.load(made.distil_id, made.store)
    back = bench.load(made.folders["pt"], real=real)
    assert isinstance(back, GeneratorSet)
    assert (back.config(), back.spec) == (cell.config(), cell.spec)
    for mode in ("stream", "frozen"):
        first, second = (
            each.source(mode, 3, make_generator(5)).epoch(make_generator(6))
            for each in (cell, back)
        )
        assert torch.equal(torch.as_tensor(first[0][:]), torch.as_tensor(second[0][:]))
        assert torch.equal(first[1], second[1])


def test_the_file_is_enough_for_load_and_export(made: Exported, tmp_path: Path) -> None:
    call("export", made.folders["pt"] / f"{NAME}.pt", "-o", tmp_path / "again")
    again = bench.load(tmp_path / "again").tensors()
    for name, tensor in bench.load(made.folders["pt"]).tensors().items():
        assert torch.equal(tensor, again[name])


def test_a_generator_needs_torch_alone(made: Exported, tmp_path: Path) -> None:
    """The code in the card, in a process that has neither bench nor NumPy."""
    folder = made.folders["pt"]
    card = (folder / "README.md").read_text()
    assert "as the weights of a generator, and a module" in card
    usage = card.split("```python\n")[1].split("```")[0]
    code = (
        "import sys, torch\n"
        "sys.modules['bench'] = sys.modules['methods'] = sys.modules['numpy'] = None\n"
        f"{usage}\n"
        "assert images.shape == (10, 1, 16, 16)\n"
        "draw = torch.Generator(); draw.manual_seed(3)\n"
        f"torch.save(normalise(network.sample(torch.arange(10), draw)), {str(tmp_path / 'x.pt')!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    cell = bench.load(made.distil_id, made.store)
    assert isinstance(cell, GeneratorSet)
    expected = cell.draw(torch.arange(10), make_generator(3))
    torch.testing.assert_close(torch.load(tmp_path / "x.pt"), expected, rtol=1e-5, atol=1e-5)


def test_another_dataset_is_refused(made: Exported, tmp_path: Path) -> None:
    from dataclasses import replace

    real = bench.load_dataset("digits").train
    other = replace(real, spec=replace(real.spec, mean=(0.5,)))
    with pytest.raises(BenchError, match="was not made from digits: its mean is"):
        open_sets(str(made.folders["pt"]), other)


def wrong_header(value: dict[str, Any]) -> None:
    value["bench"] = value["bench"][:-20]


def header_of_images(value: dict[str, Any]) -> None:
    value["bench"] = value["bench"].replace('"kind": "generator"', '"kind": "image"')


def header_that_is_a_tensor(value: dict[str, Any]) -> None:
    value["bench"] = torch.zeros(3)


def newer_format(value: dict[str, Any]) -> None:
    value["bench"] = value["bench"].replace('"format": 1', '"format": 2')


def unknown_factory(value: dict[str, Any]) -> None:
    value["bench"] = value["bench"].replace('"factory": "', '"factory": "un')


def weights_in_a_list(value: dict[str, Any]) -> None:
    value["weights"] = list(value["weights"].values())


def weight_that_is_text(value: dict[str, Any]) -> None:
    value["weights"][next(iter(value["weights"]))] = "much"


def missing_weight(value: dict[str, Any]) -> None:
    del value["weights"][next(iter(value["weights"]))]


def not_finite(value: dict[str, Any]) -> None:
    name = next(name for name, w in value["weights"].items() if w.is_floating_point())
    value["weights"][name] = value["weights"][name] / 0


def endless_weights(value: dict[str, Any]) -> None:
    """Networks of this width would take 60 GB; the file holds one number of each weight."""
    value["bench"] = value["bench"].replace('"width": 4', '"width": 40000')
    for name, weight in value["weights"].items():
        shape = [40000 * (side // 4) if side % 4 == 0 else side for side in weight.shape]
        value["weights"][name] = (
            weight.flatten()[:1].clone().reshape([1] * len(shape)).expand(shape)
        )


def many_dimensions(value: dict[str, Any]) -> None:
    name = next(iter(value["weights"]))
    value["weights"][name] = value["weights"][name].reshape([1] * 40 + [-1])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (wrong_header, "is not a valid generator of bench"),
        (header_of_images, "its header does not describe a generator"),
        (header_that_is_a_tensor, "its header is no text"),
        (newer_format, "has format 2; this bench reads 1"),
        (unknown_factory, "unknown generator 'un"),
        (weights_in_a_list, "its weights are not given by name"),
        (weight_that_is_text, "is no tensor"),
        (missing_weight, "is missing"),
        (not_finite, "hold NaN or infinity"),
        (endless_weights, "its weights have .* bytes, the file"),
        (many_dimensions, "has 41 dimensions"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_file(
    damage: Callable[[dict[str, Any]], None], words: str, made: Exported, tmp_path: Path
) -> None:
    """One message, exit code 2, nothing written."""
    value = torch.load(made.folders["pt"] / f"{NAME}.pt", weights_only=True)
    damage(value)
    torch.save(value, tmp_path / "damaged.pt")
    with pytest.raises(BenchError, match=words):
        bench.load(tmp_path / "damaged.pt")
    result = call(
        "evaluate", tmp_path / "damaged.pt", "--dataset", "digits", "--ipc", 1,
        "--store", tmp_path / "store", code=2,
    )  # fmt: skip
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.output
    assert not (tmp_path / "store").exists()
