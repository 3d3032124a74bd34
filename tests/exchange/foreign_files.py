"""Small files in the layouts of other projects, written by hand from descriptions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import bench
from bench.datasets.real_set import RealSet, normalise
from bench.datasets.zca import ZCA
from bench.distilled.image_set import ImageSet


@dataclass(frozen=True)
class Sample:
    """Ten real digits per class, as bytes, pixels and in normalised units."""

    real: RealSet
    bytes: Tensor
    labels: Tensor

    @property
    def pixels(self) -> Tensor:
        return self.bytes.float() / 255

    @property
    def normalised(self) -> Tensor:
        return normalise(self.bytes, self.real.spec)

    def in_unit(self, mean: float, std: float) -> Tensor:
        return (self.pixels - mean) / std

    @property
    def white(self) -> Tensor:
        return ZCA.fit(self.real.images, 0.1).whiten(self.bytes)


def digits_sample(ipc: int = 10) -> Sample:
    real = bench.load_dataset("digits").train
    made = bench.distil("random", real, ipc=ipc).distilled
    assert isinstance(made, ImageSet)
    return Sample(real, made.images, made.labels)


def vico(sample: Sample, folder: Path) -> Path:
    """DC, DSA and DM: every experiment, with the accuracies of its networks as NumPy numbers."""
    path = folder / "res_DM_digits_ConvNet_10ipc.pt"
    pair = [sample.normalised, sample.labels]
    accuracies = {"ConvNet": [np.float64(0.31), np.float32(0.3), 0.29]}
    torch.save({"data": [pair, pair], "accs_all_exps": accuracies}, path)
    return path


def mtt(sample: Sample, folder: Path) -> Path:
    """MTT: images and labels in two files; the rate is only in its log."""
    torch.save(sample.normalised, folder / "images_best.pt")
    torch.save(sample.labels, folder / "labels_best.pt")
    return folder


def datm(sample: Sample, folder: Path) -> Path:
    """DATM: MTT's files, with logits for labels and the learned rate."""
    logits = 8.0 * torch.nn.functional.one_hot(sample.labels, 10) + torch.rand(
        len(sample.labels), 10
    )
    torch.save(sample.normalised, folder / "images_best.pt")
    torch.save(logits, folder / "labels_best.pt")
    torch.save(torch.tensor(0.025), folder / "lr_best.pt")
    return folder / "images_best.pt"


def dd_ranking(sample: Sample, folder: Path) -> Path:
    """DD-Ranking: the same, by shorter names."""
    for name, value in (
        ("images", sample.normalised),
        ("labels", sample.labels),
        ("lr", torch.tensor(0.025)),
    ):
        torch.save(value, folder / f"{name}.pt")
    return folder


def idc(sample: Sample, folder: Path) -> Path:
    """IDC: a list of pixels in [0, 1] and labels."""
    torch.save([sample.pixels, sample.labels], folder / "data.pt")
    return folder / "data.pt"


def dd(sample: Sample, folder: Path) -> Path:
    """DD: a list of steps, each with images, labels and a rate."""
    step = (sample.normalised, sample.labels, torch.tensor([0.01, 0.02]))
    torch.save([step, step], folder / "results.pth")
    return folder / "results.pth"


def kip(sample: Sample, folder: Path) -> Path:
    """KIP: channels last, one-hot rows less their mean."""
    labels = torch.nn.functional.one_hot(sample.labels, 10).float() - 0.1
    images = sample.normalised.permute(0, 2, 3, 1).numpy()
    np.savez(folder / "kip.npz", images=images, labels=labels.numpy())
    return folder / "kip.npz"


def k_means(sample: Sample, folder: Path) -> Path:
    """DC-BENCH's K-means and random sets: two files, labels as floats."""
    torch.save(sample.normalised, folder / "DIGITS_IPC10_normalize_images.pt")
    torch.save(sample.labels.float(), folder / "DIGITS_IPC10_normalize_labels.pt")
    return folder / "DIGITS_IPC10_normalize_images.pt"


def in_parts(sample: Sample, folder: Path) -> Path:
    """DC-BENCH's MTT set of Tiny ImageNet: five pairs of files."""
    for i, (x, y) in enumerate(
        zip(sample.normalised.split(20), sample.labels.split(20), strict=True)
    ):
        torch.save(x.clone(), folder / f"images_best_{i}.pt")
        torch.save(y.clone(), folder / f"labels_best_{i}.pt")
    return folder


def npz(sample: Sample, folder: Path) -> Path:
    """Bytes and classes."""
    images = sample.bytes[:, 0].numpy()
    np.savez_compressed(folder / "set.npz", x=images, y=sample.labels.numpy().astype(np.uint8))
    return folder / "set.npz"


def safetensors(sample: Sample, folder: Path) -> Path:
    from safetensors.torch import save_file

    path = folder / "set.safetensors"
    save_file({"images": sample.normalised, "labels": sample.labels.int()}, str(path))
    return path


def images(sample: Sample, folder: Path) -> Path:
    """A folder of PNG files by class."""
    from PIL import Image

    for i, (pixels, label) in enumerate(zip(sample.bytes, sample.labels, strict=True)):
        (folder / str(int(label))).mkdir(exist_ok=True)
        Image.fromarray(pixels[0].numpy()).save(folder / str(int(label)) / f"{i:03}.png")
    return folder


def saved_dataset(sample: Sample, folder: Path) -> Path:
    """What ``datasets.Dataset.save_to_disk`` writes."""
    import datasets
    from PIL import Image

    pictures = [Image.fromarray(pixels[0].numpy()) for pixels in sample.bytes]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)}
    )
    rows = {"image": pictures, "label": sample.labels.tolist()}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(folder / "set"))
    return folder / "set"


LAYOUTS: dict[str, Callable[[Sample, Path], Path]] = {
    each.__name__: each
    for each in (
        vico, mtt, datm, dd_ranking, idc, dd, kip, k_means, in_parts, npz, safetensors, images,
        saved_dataset,
    )
}  # fmt: skip
