"""``bench export``: every format is read back to the same numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exports import call, exported, learned, read_back
from foreign_files import Sample

import bench
from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.distilled.storage_type import stored_as
from bench.exchange.export_formats import FORMATS
from bench.exchange.given import FORMAT_NAMES, Given
from bench.exchange.opened import open_sets
from bench.support.seeds import make_generator

SETS = {
    "plain": {},
    "with-rate": {"learning_rate": 0.03, "epochs": 7},
    "soft": {"label_kind": "logits", "temperature": 4.0},
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("form", ["safetensors", "pt", "npz"])
def test_tensors_come_back_bit_for_bit(
    form: str, name: str, sample: Sample, tmp_path: Path
) -> None:
    made = learned(sample)
    if name == "soft":
        made = replace(made, labels=torch.randn(30, 10), **SETS[name])
    else:
        made = replace(made, **SETS[name])
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder / f"set.{form}", sample)
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert back.config() == made.config()


@pytest.mark.parametrize("form", ["safetensors", "pt", "npz"])
def test_whitened_sets_keep_their_statistics(form: str, sample: Sample, tmp_path: Path) -> None:
    zca = ZCA.fit(sample.real.images[:500], 0.05)
    made = learned(sample, zca=zca)
    made = replace(made, images=zca.whiten(sample.bytes))
    folder = exported(made, tmp_path, "--format", form)
    (reading,) = open_sets(str(folder / f"set.{form}"), sample.real)
    back = reading.distilled
    assert isinstance(back, ImageSet)
    assert back.zca is not None
    assert torch.equal(back.zca.matrix, zca.matrix)
    assert torch.equal(back.images, made.images)
    assert not any("no ZCA statistics" in text for text in reading.warnings)


@pytest.mark.parametrize("form", ["imagefolder", "hf"])
def test_pictures_come_back_within_a_byte(form: str, sample: Sample, tmp_path: Path) -> None:
    if form == "hf":
        pytest.importorskip("datasets")
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder / "set" if form == "hf" else folder, sample)
    assert back.images.dtype == torch.uint8
    assert torch.equal(back.labels, made.labels)
    spec = sample.real.spec
    pixels = (made.images * spec.std[0] + spec.mean[0]).clamp(0, 1)
    assert float((back.images.float() / 255 - pixels).abs().max()) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("form", FORMAT_NAMES)
def test_the_folder_of_an_export_is_a_source(form: str, sample: Sample, tmp_path: Path) -> None:
    """The folder that ``-o`` named, with the card in it, says as much as the file inside."""
    if form == "hf":
        pytest.importorskip("datasets")
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder, sample)
    assert torch.equal(back.labels, made.labels)
    if form == "safetensors":
        assert torch.equal(bench.load(folder).tensors()["images"], made.images)
        call("export", folder, "-o", tmp_path / "again", "--format", "pt")
        assert (tmp_path / "again" / "set.pt").is_file()


def test_folders_of_many_classes_are_in_the_order_of_the_classes(tmp_path: Path) -> None:
    """Programs that read folders number them in the order of their names."""
    spec = DatasetSpec("many", 12, 1, 4, 4, (0.5,), (0.25,), flip=False)
    images = torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1).expand(12, 1, 4, 4)
    made = ImageSet(spec, images.contiguous(), torch.arange(12), {})
    folder = exported(made, tmp_path, "--format", "imagefolder")
    names = sorted(each.name for each in folder.iterdir() if each.is_dir())
    assert names == [f"{label:02}" for label in range(12)]


def test_the_layout_of_the_field(sample: Sample, tmp_path: Path) -> None:
    """VICO's scripts read ``torch.load(path)["data"][experiment]`` as images and labels."""
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", "pt")
    images, labels = torch.load(folder / "set.pt", weights_only=True)["data"][-1]
    assert torch.equal(images, made.images)
    assert (labels.dtype, images.dtype) == (torch.int64, torch.float32)
    real = ImageSet(sample.real.spec, sample.bytes, sample.labels, {})
    save(real, tmp_path / "real.safetensors")
    call("export", tmp_path / "real.safetensors", "-o", tmp_path / "real", "--format", "pt")
    images, _ = torch.load(tmp_path / "real" / "real.pt", weights_only=True)["data"][0]
    assert torch.equal(images, normalise(sample.bytes, sample.real.spec))


def test_a_factored_set_in_the_layout_of_idc(sample: Sample, tmp_path: Path) -> None:
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    folder = exported(made, tmp_path, "--format", "pt")
    from bench.exchange.given import Given

    (reading,) = open_sets(str(folder / "set.pt"), sample.real, Given(factor=2))
    back = reading.distilled
    assert isinstance(back, FactoredSet)
    assert torch.equal(back.images, made.images)


@pytest.mark.parametrize(
    ("dtype", "bytes_per_value", "largest"), [("float16", 2, 2e-3), ("uint8", 1, 2e-2)]
)
def test_bytes_are_counted_as_stored(
    dtype: str, bytes_per_value: int, largest: float, sample: Sample, tmp_path: Path
) -> None:
    """Normalised values have a spread of 1, so half a byte is 0.5 / 255 / std."""
    made = learned(sample)
    inside = made.images.clamp(*((torch.tensor([0.0, 1.0]) - 0.304667) / 0.3759).tolist())
    made = replace(made, images=inside)
    folder = exported(made, tmp_path, "--dtype", dtype)
    back = read_back(folder / "set.safetensors", sample)
    assert back.storage_bytes == made.images.numel() * bytes_per_value
    images = back.source("stored", 3, make_generator(0)).images
    assert images.dtype == torch.float32
    assert float((images - made.images).abs().max()) <= largest


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A store with a learned set and one of real images, evaluated."""
    store = tmp_path_factory.mktemp("cells") / "store"
    call(
        "run", "--method", "random,dm", "--dataset", "digits", "--ipc", 2, "--profile", "smoke",
        "--eval-arch", "mlp", "--store", store, "--data-dir", data_dir, "--json",
    )  # fmt: skip
    return store


@pytest.mark.parametrize("form", FORMAT_NAMES)
@pytest.mark.parametrize("method", ["random", "dm"])
def test_the_number_of_the_cell_comes_back(
    method: str, form: str, cells: Path, tmp_path: Path
) -> None:
    """Bit for bit; of a learned set, pictures are what `--stored-as uint8` evaluates."""
    if form == "hf":
        pytest.importorskip("datasets")
    table = json.loads(call("table", "--store", cells, "--format", "json").stdout)["results"]
    (row,) = (each for each in table if each["method"] == method)
    call("export", row["distil_ids"][0], "-o", tmp_path / "x", "--store", cells, "--format", form)
    options = ("--dataset", "digits", "--protocol", "smoke", "--eval-arch", "mlp", "--json")
    result = call("evaluate", tmp_path / "x", *options, "--store", tmp_path / "store")
    (back,) = json.loads(result.stdout)["results"]
    if method == "dm" and form in ("imagefolder", "hf"):
        made = bench.load(row["distil_ids"][0], cells)
        test = bench.load_dataset("digits").test
        expected = bench.evaluate(stored_as(made, "uint8"), test, arch="mlp", protocol="smoke")
        assert back["accuracies"] == list(expected.accuracies)
    else:
        assert back["accuracies"] == row["accuracies"]


def test_a_factored_set_of_bytes_is_read_back(sample: Sample, tmp_path: Path) -> None:
    """As bench's own file, and as IDC's, which holds floats in [0, 1]."""
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    save(made, tmp_path / "set.safetensors")
    for form in ("safetensors", "pt"):
        out = tmp_path / form
        call(
            "export", tmp_path / "set.safetensors", "-o", out, "--format", form, "--dtype", "uint8"
        )
        given = Given(factor=2) if form == "pt" else None
        (reading,) = open_sets(str(out / f"set.{form}"), sample.real, given)
        assert isinstance(reading.distilled, FactoredSet)
        assert torch.equal(reading.distilled.pixels, made.pixels)
        assert (reading.distilled.images.dtype == torch.uint8) == (form == "safetensors")


def test_the_command_offers_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES
