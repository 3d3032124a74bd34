"""Every layout of the field is recognised and read to the same images and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_files import LAYOUTS, Sample, digits_sample

from bench.datasets.real_set import normalise
from bench.distilled.image_set import ImageSet
from bench.distilled.labels import hard_labels
from bench.exchange.opened import open_sets
from bench.support.errors import BenchError


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample()


def as_normalised(distilled: ImageSet) -> torch.Tensor:
    images = distilled.images
    return normalise(images, distilled.spec) if images.dtype == torch.uint8 else images


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read(name: str, sample: Sample, tmp_path: Path) -> None:
    if name == "saved_dataset":
        pytest.importorskip("datasets")
    readings = open_sets(str(LAYOUTS[name](sample, tmp_path)), sample.real)
    assert len(readings) == (2 if name == "vico" else 1)
    distilled = readings[0].distilled
    assert isinstance(distilled, ImageSet)
    assert torch.equal(hard_labels(distilled.labels).sort().values, sample.labels)
    order = hard_labels(distilled.labels).sort(stable=True).indices
    torch.testing.assert_close(
        as_normalised(distilled)[order], sample.normalised, rtol=1e-5, atol=1e-5
    )


def test_the_images_of_a_normalised_set_are_not_touched(sample: Sample, tmp_path: Path) -> None:
    distilled = open_sets(str(LAYOUTS["vico"](sample, tmp_path)), sample.real)[0].distilled
    assert isinstance(distilled, ImageSet)
    assert torch.equal(distilled.images, sample.normalised)


@pytest.mark.parametrize(
    ("name", "rate"), [("datm", 0.025), ("dd_ranking", 0.025), ("dd", 0.02), ("mtt", None)]
)
def test_the_learned_rate_is_read(
    name: str, rate: float | None, sample: Sample, tmp_path: Path
) -> None:
    (reading,) = open_sets(str(LAYOUTS[name](sample, tmp_path)), sample.real)
    assert reading.distilled.learning_rate == pytest.approx(rate)
    assert any("--lr" in text for text in reading.warnings) == (rate is None)


def test_logits_stay_soft(sample: Sample, tmp_path: Path) -> None:
    (reading,) = open_sets(str(LAYOUTS["datm"](sample, tmp_path)), sample.real)
    assert reading.distilled.label_kind == "logits"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda f: torch.save({"data": []}, f / "a.pt"), "holds no experiment"),
        (lambda f: torch.save({"data": [[torch.ones(2)]]}, f / "a.pt"), "is not images and labels"),
        (lambda f: torch.save({"weights": torch.ones(2)}, f / "a.pt"), "holds no images"),
        (lambda f: torch.save({"images": torch.ones(2)}, f / "a.pt"), "holds no labels"),
        (lambda f: torch.save(torch.ones(2), f / "a.pt"), "labels are expected beside it"),
        (lambda f: torch.save([torch.ones(2)] * 3, f / "a.pt"), "list of 3"),
        (lambda f: torch.save(3, f / "a.pt"), "holds a value of type int"),
        (lambda f: (f / "a.pt").write_bytes(b"no"), "not a whole .pt file|never loads"),
        (lambda f: (f / "a.txt").write_text("no"), "not a distilled set that bench can read"),
        (lambda f: np.savez(f / "a.npz", images=np.ones(3)), "holds no labels"),
        (lambda f: (f / "a.npz").write_bytes(b"PK\x03\x04"), "not a whole .npz"),
        (lambda f: (f / "a.safetensors").write_bytes(b"\xff" * 64), "not a readable"),
    ],
)
def test_what_is_no_set_is_refused(write, words: str, sample: Sample, tmp_path: Path) -> None:
    write(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(BenchError, match=words):
        open_sets(str(path), sample.real)


def test_a_damaged_number_of_a_pt_file_is_noticed(sample: Sample, tmp_path: Path) -> None:
    # Torch reads it without looking at the archive's checksums.
    path = LAYOUTS["vico"](sample, tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(sample.normalised.numpy().tobytes()[:64])
    data[at + 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BenchError, match="it is damaged: the checksum of"):
        open_sets(str(path), sample.real)


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_either_byte_order_are_read(order: str, sample: Sample, tmp_path: Path) -> None:
    images, labels = sample.normalised.numpy(), sample.labels.numpy()
    path = tmp_path / "set.npz"
    np.savez(path, images=images.astype(f"{order}f4"), labels=labels.astype(f"{order}i2"))
    (reading,) = open_sets(str(path), sample.real)
    assert isinstance(reading.distilled, ImageSet)
    assert torch.equal(as_normalised(reading.distilled), sample.normalised)


def test_a_missing_source(sample: Sample) -> None:
    with pytest.raises(BenchError, match=r"'nowhere\.pt' does not exist: give a \.pt"):
        open_sets("nowhere.pt", sample.real)


def test_a_folder_of_several_sets_asks_which(sample: Sample, tmp_path: Path) -> None:
    for i in (100, 200):
        torch.save(sample.normalised, tmp_path / f"images_{i}.pt")
        torch.save(sample.labels, tmp_path / f"labels_{i}.pt")
    with pytest.raises(BenchError, match=r"several sets: name one of them \(images_100\.pt"):
        open_sets(str(tmp_path), sample.real)
    (reading,) = open_sets(str(tmp_path / "images_200.pt"), sample.real)
    assert reading.distilled.storage_bytes == sample.normalised.nbytes


def test_a_hub_that_is_not_reached(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(BenchError, match=r"'hf:someone/set' cannot be fetched: no route$"):
        open_sets("hf:someone/set", sample.real)
