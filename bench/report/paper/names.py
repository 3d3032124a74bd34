"""Names of datasets and architectures as papers write them, and how large a dataset is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from bench.registry.registry import DATASETS
from bench.support.errors import BenchError

# Families of architectures whose names say a depth: "resnet10_ap" is written "ResNet-10-AP".
_FAMILIES = {"convnet": "ConvNet", "resnet": "ResNet", "vgg": "VGG", "densenet": "DenseNet",
             "wrn": "WRN"}  # fmt: skip
# Datasets that papers use, which users import under these names.
_IMPORTED = {"tinyimagenet": ("Tiny ImageNet", 500.0)}
_SINGLE = {"alexnet": "AlexNet", "lenet": "LeNet", "mlp": "MLP", "vit": "ViT"}


@dataclass(frozen=True)
class DatasetFacts:
    """What a table says of a dataset.

    Attributes:
        label: its name as papers write it.
        per_class: how many training images a class has, on average; ``None`` if it is not known.
    """

    label: str
    per_class: float | None


@cache
def dataset_facts(name: str) -> DatasetFacts:
    """Return what the registered dataset of that name declares; of others, what is known here."""
    try:
        source = DATASETS.get(name) if name in DATASETS.names() else None
    except BenchError:  # two distributions claim it, or a plugin does not import any more
        source = None
    if source is None:
        return DatasetFacts(*_IMPORTED.get(name, (name, None)))
    counts = source.counts
    per_class = counts[0] / source.spec.num_classes if counts else None
    return DatasetFacts(source.label or name, per_class)


def arch_label(name: str) -> str:
    """Return the name of an architecture as papers write it; of an unknown one, the name itself."""
    base, parenthesis, settings = name.partition("(")
    stem, *rest = re.split(r"[_-]", base)
    match = re.fullmatch(r"([a-z]+?)(\d+)", stem)
    if base in _SINGLE:
        label = _SINGLE[base]
    elif match and match[1] in _FAMILIES:
        label = "-".join([_FAMILIES[match[1]], match[2], *(part.upper() for part in rest)])
    else:
        return name
    return f"{label} {parenthesis}{settings}" if parenthesis else label
