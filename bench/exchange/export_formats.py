"""The formats in which a distilled set is exported, each as a function that writes its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.datasets.spec import DatasetSpec
from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.distilled.labels import hard_labels
from bench.distilled.real_stream_set import RealStreamSet
from bench.exchange.generator_pt import save_pt, write_generator
from bench.exchange.made_with import of_bench
from bench.support.errors import BenchError
from bench.support.extras import import_extra


def write_safetensors(distilled: DistilledSet, folder: Path, name: str) -> None:
    """Write bench's own file, which holds everything."""
    save(distilled, folder / f"{name}.safetensors")


def write_pt(distilled: DistilledSet, folder: Path, name: str) -> None:
    """Write the layout that the field's own scripts read.

    Images: VICO's ``{"data": [[images, labels]], ...}``, normalised float32, with ZCA statistics,
    the learned rate and the network that made them beside them. Factored images: IDC's
    ``[pixels, labels]``. A generator: see :func:`bench.exchange.generator_pt.write_generator`.
    """
    path = folder / f"{name}.pt"
    if isinstance(distilled, GeneratorSet):
        write_generator(distilled, folder, name)
    elif isinstance(distilled, FactoredSet):
        save_pt([distilled.pixels.cpu(), distilled.labels.cpu()], path)
    else:
        images = _images(distilled, "pt")
        normalised = images.source(images.modes[0], None, torch.Generator()).images[:].cpu()
        values: dict[str, Any] = {"data": [[normalised, images.labels.cpu()]]}
        values |= {"accs_all_exps": {}, **_beside(images)}
        made_with = of_bench(images.provenance.get("cell"), images.spec)
        if made_with is not None and made_with.norm is not None:
            values |= {"net": made_with.network, "norm": made_with.norm}
        save_pt(values, path)


def write_npz(distilled: DistilledSet, folder: Path, name: str) -> None:
    """Write arrays: images as they are stored, channels first, and labels."""
    images = _images(distilled, "npz")
    arrays: dict[str, Any] = {"images": images.images.cpu(), "labels": images.labels.cpu()}
    arrays |= _beside(images)
    values: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez_compressed(folder / f"{name}.npz", **values)


def write_image_folder(distilled: DistilledSet, folder: Path, name: str) -> None:  # noqa: ARG001
    """Write ``CLASS/*.png``: pixels of 8 bits, cut to [0, 1] and rounded."""
    images = _images(distilled, "imagefolder")
    names, counts = _folder_names(images.spec), dict[int, int]()
    for picture, label in zip(_pictures(images), hard_labels(images.labels).tolist(), strict=True):
        counts[label] = counts.get(label, -1) + 1
        path = folder / names[label] / f"{counts[label]:05}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)


def write_hub(distilled: DistilledSet, folder: Path, name: str) -> None:
    """Write a Hugging Face dataset: PNG images of 8 bits, and labels."""
    images = _images(distilled, "hf")
    datasets = import_extra("datasets", "hub", "--format hf")
    spec, labels = images.spec, hard_labels(images.labels)
    kind = datasets.ClassLabel(
        names=list(spec.class_names) or list(map(str, range(spec.num_classes)))
    )
    features: dict[str, Any] = {"image": datasets.Image(), "label": kind}
    rows: dict[str, Any] = {"image": _pictures(images), "label": labels.tolist()}
    if images.label_kind != "hard":
        features["soft_label"] = datasets.Sequence(datasets.Value("float32"), spec.num_classes)
        rows["soft_label"] = images.labels.tolist()
    made = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    made.save_to_disk(str(folder / name))


Writer = Callable[[DistilledSet, Path, str], None]
# Each writes a set into a folder under a name.
FORMATS: Mapping[str, Writer] = {
    "safetensors": write_safetensors,
    "pt": write_pt,
    "npz": write_npz,
    "imagefolder": write_image_folder,
    "hf": write_hub,
}


def _images(distilled: DistilledSet, form: str) -> ImageSet:
    if isinstance(distilled, ImageSet):
        return distilled
    if isinstance(distilled, RealStreamSet):
        raise BenchError(
            f"a {distilled.kind} set is the real training set itself, and cannot be exported as "
            f"{form}: use safetensors"
        )
    usable = "safetensors or pt"
    raise BenchError(f"a {distilled.kind} set cannot be exported as {form}: use {usable}")


def _beside(images: ImageSet) -> dict[str, Any]:
    """Return what must travel with images for their number to be right."""
    values: dict[str, Any] = {}
    if images.learning_rate is not None:
        values["learning_rate"] = float(images.learning_rate)
    if images.temperature is not None:
        values["temperature"] = float(images.temperature)
    if images.epochs is not None:
        values["epochs"] = images.epochs
    if images.zca is not None:
        values |= {name: tensor.cpu() for name, tensor in images.zca.tensors().items()}
    return values


def _pictures(images: ImageSet) -> list[Any]:
    """Return the images as Pillow has them, 8 bits, grey or RGB."""
    from PIL import Image

    pixels = images.images.cpu()
    if pixels.dtype != torch.uint8:
        whole = ImageSet(
            images.spec, pixels.float(), torch.arange(len(pixels)) * 0, {}, zca=images.zca
        )
        shown = whole.preview(len(pixels), torch.Generator(), 1)[0]
        pixels = shown.mul(255).round().to(torch.uint8)
    arrays = pixels.permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(a[:, :, 0] if a.shape[2] == 1 else a) for a in arrays]


def _folder_names(spec: DatasetSpec) -> list[str]:
    """Return the classes' names where every system can have them as folders, else numbers."""
    names = list(spec.class_names)
    plain = all(n and n.strip(".") and not set(n) & set('/\\:*?"<>|\0') for n in names)
    ordered = names == sorted(names)  # what reads a folder has only the order of the names
    if names and plain and ordered:
        return names
    width = len(str(spec.num_classes - 1))  # 002 before 010, or other programs renumber them
    return [f"{label:0{width}}" for label in range(spec.num_classes)]
