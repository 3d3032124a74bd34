"""What the files of an export hold: in words, in bytes, and what they lack of the set."""

from __future__ import annotations

import torch

from bench.distilled.base import DistilledSet
from bench.distilled.factored_set import FactoredSet
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.image_set import ImageSet

# Formats that hold pictures of 8 bits and classes.
PICTURES = ("imagefolder", "hf")
_NORMALISED = "(pixel - mean) / std of pixels in [0, 1], with the mean and std above"
_FORMS = {
    "safetensors": "a file of bench",
    "pt": "a file of tensors in the layout of VICO-UoE/DatasetCondensation",
    "npz": "NumPy arrays",
    "imagefolder": "PNG images by class",
    "hf": "a Hugging Face dataset of PNG images",
}
_USAGES = {
    "safetensors": """
import bench

distilled = bench.load("{name}.safetensors")
dataset = distilled.dataset({ipc})  # pairs of image and label""",
    "pt": """
import torch

images, labels = torch.load("{name}.pt", weights_only=True)["data"][0]
dataset = torch.utils.data.TensorDataset(images, labels)""",
    "npz": """
import numpy as np

arrays = np.load("{name}.npz")
images, labels = arrays["images"], arrays["labels"]""",
    "imagefolder": """
from torchvision.datasets import ImageFolder

dataset = ImageFolder(".")""",
    "hf": """
from datasets import load_from_disk

dataset = load_from_disk("{name}")""",
}
_FACTORED_PT = """
import torch

images, labels = torch.load("{name}.pt", weights_only=True)"""
_GENERATOR_PT = """
import torch
from generator import load

network, normalise = load("{name}.pt")
images = normalise(network.sample(torch.arange({classes})))  # one per class"""


def usage(distilled: DistilledSet, form: str, name: str) -> str:
    """Return Python code that loads the files, called ``name``, in their folder."""
    text = _USAGES[form]
    if form == "pt" and isinstance(distilled, GeneratorSet):
        text = _GENERATOR_PT
    if form == "pt" and isinstance(distilled, FactoredSet):
        text = _FACTORED_PT
    ipc = "ipc=10" if "stream" in distilled.modes else ""
    return text.format(name=name, ipc=ipc, classes=distilled.spec.num_classes).strip()


def form_in_words(distilled: DistilledSet, form: str) -> str:
    """Return what the files are."""
    if form == "pt" and isinstance(distilled, GeneratorSet):
        return "the weights of a generator, and a module that draws from it and needs torch alone"
    if form == "pt" and isinstance(distilled, FactoredSet):
        return "a file of tensors in the layout of snu-mllab/Efficient-Dataset-Condensation (IDC)"
    return _FORMS[form]


def values_in_words(distilled: DistilledSet, form: str) -> str:
    """Return in which units the images are, and what networks are trained on."""
    if isinstance(distilled, GeneratorSet):
        return f"It draws images in [-1, 1]; networks are trained on {_NORMALISED}"
    if isinstance(distilled, FactoredSet):
        units = "in 0..255" if _stored(distilled, form) == torch.uint8 else "in [0, 1]"
        parts = f"{distilled.factor}x{distilled.factor}"
        return f"Each image holds {parts} smaller ones, as pixels {units}"
    if isinstance(distilled, ImageSet):
        kind = _stored(distilled, form)
        if kind == torch.uint8 and distilled.zca is not None and form not in PICTURES:
            return (
                "Its images are pixels in 0..255; networks are trained on them ZCA-whitened, with "
                "the statistics in the file"
            )
        if kind == torch.uint8:
            return f"Its images are pixels of 8 bits, 0..255; networks are trained on {_NORMALISED}"
        name = str(kind).removeprefix("torch.")
        if distilled.zca is not None:
            return f"Its images are {name}, ZCA-whitened with the statistics in the file"
        return f"Its images are {name}, in normalised units: {_NORMALISED}"
    return "Its images are pixels in 0..255"


def exported_bytes(distilled: DistilledSet, form: str) -> int:
    """Return the bytes of the set as the files hold it, uncompressed."""
    if not isinstance(distilled, ImageSet | FactoredSet):
        return distilled.storage_bytes
    images = distilled.images
    count = images.numel() * _stored(distilled, form).itemsize
    more = distilled.storage_bytes - images.numel() * images.element_size()
    if form == "imagefolder":
        return count
    if form == "hf":
        return count + (distilled.labels.nbytes if distilled.label_kind != "hard" else 0)
    return count + more


def what_is_lost(distilled: DistilledSet, form: str) -> list[str]:
    """Return what a format does not hold of a set, and without which its number is another."""
    if isinstance(distilled, FactoredSet) and form == "pt":
        return [f"the factor: evaluate with --factor {distilled.factor}"]
    if form not in PICTURES or not isinstance(distilled, ImageSet):
        return []
    lost = []
    if distilled.learning_rate is not None:
        lost.append(f"the learned rate: evaluate with --lr {distilled.learning_rate:g}")
    if distilled.epochs is not None:
        lost.append(f"the number of epochs: evaluate with --epochs {distilled.epochs}")
    if distilled.zca is not None:
        lost.append("the whitening: the pictures are not whitened")
    if distilled.label_kind != "hard" and form == "imagefolder":
        lost.append("the soft labels: the folders are the likeliest classes")
    if distilled.temperature is not None and form == "hf":
        lost.append(f"the temperature: evaluate with --temperature {distilled.temperature:g}")
    return lost


def evaluation_command(distilled: DistilledSet, form: str) -> str:
    """Return the command that evaluates the files where they are."""
    more = ""
    if "stream" in distilled.modes:
        more = " --ipc 10"
    elif isinstance(distilled, FactoredSet) and form == "pt":
        more = f" --factor {distilled.factor}"
    return f"bench evaluate . --dataset {distilled.spec.name}{more} --name released"


def _stored(distilled: ImageSet | FactoredSet, form: str) -> torch.dtype:
    """Return the type in which the files hold images."""
    if form in PICTURES:
        return torch.uint8
    return torch.float32 if form == "pt" else distilled.images.dtype
