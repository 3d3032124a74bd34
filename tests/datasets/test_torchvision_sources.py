"""The torchvision sources, end to end on tiny files of the official formats, without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.datasets import library, torchvision_sources
from bench.datasets.library import fetch, open_split
from bench.datasets.source import DatasetSource, no_progress
from bench.support.errors import BenchError

SOURCES = [
    torchvision_sources.MNIST,
    torchvision_sources.FashionMNIST,
    torchvision_sources.SVHN,
    torchvision_sources.CIFAR10,
    torchvision_sources.CIFAR100,
]


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _images(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("source", SOURCES)
def test_specs_are_complete(source: type[DatasetSource]) -> None:
    spec = source.spec
    assert spec.name == source.name
    assert len(spec.mean) == len(spec.std) == spec.channels
    assert len(set(spec.class_names)) == spec.num_classes
    assert spec.flip == (source.name not in ("mnist", "svhn"))


def test_means_and_deviations_are_the_fields() -> None:
    # As VICO-UoE/DatasetCondensation normalises, utils.py, get_dataset.
    assert {source.name: (source.spec.mean, source.spec.std) for source in SOURCES} == {
        "mnist": ((0.1307,), (0.3081,)),
        "fashionmnist": ((0.2861,), (0.3530,)),
        "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    }


def test_the_fine_classes_are_in_label_order() -> None:
    names = torchvision_sources.CIFAR100.spec.class_names
    assert names == tuple(sorted(names))


@pytest.mark.parametrize("name", ["mnist", "fashionmnist"])
def test_idx_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = {s.name: s for s in SOURCES}[name]
    pixels = {"train": _images((20, 28, 28), 0), "t10k": _images((10, 28, 28), 1)}
    resources = []
    for part, images in pixels.items():
        labels = np.arange(len(images), dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            path = tmp_path / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))
            resources.append((path.name, _md5(path)))
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, source.torchvision_name)
    monkeypatch.setattr(dataset, "resources", resources)
    monkeypatch.setattr(dataset, "mirrors", [tmp_path.as_uri() + "/"])
    _fetched(source, pixels["train"][:, None], pixels["t10k"][:, None], tmp_path, monkeypatch)


def test_mat_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    pixels = {"train": _images((20, 3, 32, 32), 0), "test": _images((10, 3, 32, 32), 1)}
    listed = {}
    for part, images in pixels.items():
        path = tmp_path / f"{part}_32x32.mat"
        labels = np.arange(len(images)) % 10
        official = np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)
        savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": official})
        listed[part] = [path.as_uri(), path.name, _md5(path)]
    monkeypatch.setattr(SVHN, "split_list", listed)
    source = torchvision_sources.SVHN
    _fetched(source, pixels["train"], pixels["test"], tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pickled_batches(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = {s.name: s for s in SOURCES}[name]
    classes = source.spec.num_classes
    pixels = {
        "train": _images((2 * classes, 3, 32, 32), 0),
        "test": _images((classes, 3, 32, 32), 1),
    }
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, source.torchvision_name)
    key = "labels" if classes == 10 else "fine_labels"
    members: dict[str, Any] = {
        part: {
            "data": images.reshape(len(images), -1),
            key: [i % classes for i in range(len(images))],
        }
        for part, images in pixels.items()
    }
    members["meta"] = {dataset.meta["key"]: list(source.spec.class_names)}
    raw = {member: pickle.dumps(value) for member, value in members.items()}
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for member, data in raw.items():
            entry = tarfile.TarInfo(f"{dataset.base_folder}/{member}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    sums = {member: hashlib.md5(d, usedforsecurity=False).hexdigest() for member, d in raw.items()}
    monkeypatch.setattr(dataset, "url", archive.as_uri())
    monkeypatch.setattr(dataset, "tgz_md5", _md5(archive))
    monkeypatch.setattr(dataset, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(dataset, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "filename": "meta", "md5": sums["meta"]})
    _fetched(source, pixels["train"], pixels["test"], tmp_path, monkeypatch)


def test_official_counts_are_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_datasets import make_arrays

    monkeypatch.setattr(
        torchvision_sources.SVHN, "load", lambda *_: make_arrays((32, 32, 3), 10, 20, 10)
    )
    with pytest.raises(
        BenchError, match=r"'svhn' came with 20 train and 10 test images, not 73,257 train"
    ):
        fetch("svhn", tmp_path)


def test_no_network_says_how_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR100

    monkeypatch.setattr(CIFAR100, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    with pytest.raises(BenchError) as caught:
        library.ensure("cifar100", tmp_path / "data")
    assert "dataset 'cifar100' could not be fetched: could not download" in str(caught.value)
    assert "bench data import cifar100 FILE.npz" in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def _fetched(
    source: type[DatasetSource],
    train: np.ndarray,
    test: np.ndarray,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fetch through the library and compare every pixel."""
    monkeypatch.setattr(source, "counts", (len(train), len(test)))
    info = fetch(source.name, folder / "data", no_progress)
    assert (info.n_train, info.n_test) == (len(train), len(test))
    for part, images in (("train", train), ("test", test)):
        real = open_split(source.name, part, folder / "data", "cpu")
        assert np.array_equal(real.images.numpy(), images)
        assert real.labels.tolist() == [i % source.spec.num_classes for i in range(len(images))]
        assert real.spec == source.spec
    assert sorted(p.name for p in (folder / "data").iterdir()) == [
        f"{source.name}.safetensors",
        f"{source.name}.safetensors.sha256",
    ]
