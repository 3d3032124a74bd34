"""Layouts in which this field publishes tensors, recognised by what a file holds.

Sources of the layouts: VICO-UoE/DatasetCondensation ``main.py`` and ``main_DM.py``;
GeorgeCazenavette/mtt-distillation ``distill.py``; snu-mllab/Efficient-Dataset-Condensation
``condense.py``; NUS-HPC-AI-Lab/DATM ``distill/DATM.py``; NUS-HPC-AI-Lab/DD-Ranking ``README.md``;
justincui03/dc_benchmark ``data_loader/``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.exchange.generator_pt import as_generator, is_generator
from bench.exchange.made_with import named_in_file, said_in, usual_for
from bench.exchange.raw_set import RawSet
from bench.exchange.tensor_files import read_pt
from bench.support.errors import BenchError

# Names under which tensors of a set are stored, most usual first.
_IMAGES = ("images", "image", "data", "x", "x_train", "images_syn", "image_syn", "syn_images")
_LABELS = ("labels", "label", "targets", "y", "y_train", "label_syn", "soft_labels", "syn_labels")
_RATES = ("lr", "learning_rate", "syn_lr", "lr_syn")


def in_pt(path: Path) -> Sequence[RawSet | DistilledSet]:
    """Read every set of a file of ``torch.save``.

    Args:
        path: the file, which is not unpickled beyond tensors and plain values.

    Raises:
        BenchError: it holds no images and labels in a known layout.
    """
    value = read_pt(path)
    if is_generator(value):
        return [as_generator(value, path)]
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        return _experiments(value, path)
    if isinstance(value, Mapping):
        return [keyed(value, "dictionary of tensors", path)]
    if isinstance(value, Tensor):
        return [beside(path, value)]
    if isinstance(value, list | tuple):
        return [_listed(value, path)]
    raise BenchError(
        f"'{path}' holds a value of type {type(value).__name__}: expected images and labels"
    )


def _experiments(value: Mapping[Any, Any], path: Path) -> list[RawSet]:
    """Read VICO's ``res_*.pt``: ``{"data": [[images, labels], ...], ...}``."""
    data, sets = value["data"], []
    for i, pair in enumerate(data):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and _are_tensors(pair)):
            raise BenchError(f"'{path}': experiment {i} of 'data' is not images and labels")
        place = f"{path} [experiment {i}]" if len(data) > 1 else str(path)
        more = _beside_images(value, path)
        sets.append(RawSet(pair[0], pair[1], "DC, DSA, DM: res_*.pt", place, **more))
    if not sets:
        raise BenchError(f"'{path}' holds no experiment: its 'data' is empty")
    return sets


def _listed(value: Sequence[Any], path: Path) -> RawSet:
    """Read IDC's ``[images, labels]``, or DD's list of steps, of which the last counts."""
    if len(value) == 2 and _are_tensors(value):
        return RawSet(
            value[0], value[1], "IDC: [images, labels]", str(path), made_with=named_in_file(path)
        )
    steps = [
        v for v in value if isinstance(v, list | tuple) and len(v) >= 2 and _are_tensors(v[:2])
    ]
    if steps and len(steps) == len(value):
        return RawSet(
            steps[-1][0], steps[-1][1], f"DD: last of {len(steps)} steps", str(path),
            _rate(steps[-1][2], path) if len(steps[-1]) > 2 else None, learns_rate=True,
        )  # fmt: skip
    raise BenchError(f"'{path}' holds a list of {len(value)}: expected [images, labels]")


def beside(path: Path, images: Tensor) -> RawSet:
    """Read the labels, and the learned rate if there is one, that lie beside a file of images.

    Args:
        path: of the images, ``images*.pt``.
        images: what it holds.

    Raises:
        BenchError: there are no labels, or they are no tensor.
    """
    labels = path.with_name(path.name.replace("images", "labels"))
    if "images" not in path.name or not labels.exists():
        wanted = labels.name if "images" in path.name else "a file called images*.pt and labels*.pt"
        raise BenchError(f"'{path}' holds one tensor; its labels are expected beside it: {wanted}")
    values = read_pt(labels)
    if not isinstance(values, Tensor):
        raise BenchError(f"'{labels}' holds a {type(values).__name__}: expected a tensor of labels")
    rate = path.with_name(path.name.replace("images", "lr"))
    return RawSet(
        images, values, "MTT, DATM, DD-Ranking: images, labels, lr", str(path),
        _rate(read_pt(rate), rate) if rate.exists() else None, learns_rate=True,
        made_with=usual_for(path),
    )  # fmt: skip


def keyed(values: Mapping[Any, Any], layout: str, path: Path) -> RawSet:
    """Read tensors by name.

    Args:
        values: what a file holds, by name.
        layout: its name, for the facts.
        path: of the file.

    Raises:
        BenchError: there are no images or no labels, or a value beside them is wrong.
    """
    images, labels = (
        next((values[n] for n in names if isinstance(values.get(n), Tensor)), None)
        for names in (_IMAGES, _LABELS)
    )
    if images is None or labels is None:
        lacking = "images" if images is None else "labels"
        names = ", ".join(sorted(map(str, values)))[:200] or "nothing"
        known = ", ".join(_IMAGES if images is None else _LABELS)
        raise BenchError(f"'{path}' holds no {lacking}: expected one of {known}; it holds {names}")
    return RawSet(images, labels, layout, str(path), **_beside_images(values, path))


def _beside_images(values: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """Return what a file says beside images and labels, as fields of a :class:`RawSet`."""
    rate = next((values[name] for name in _RATES if name in values), None)
    temperature, epochs = values.get("temperature"), values.get("epochs")
    statistics = {n: v for n, v in values.items() if isinstance(v, Tensor)}
    try:
        zca = ZCA.from_tensors(statistics)
    except ValueError as error:
        raise BenchError(f"'{path}': {error}") from error
    return {
        "learning_rate": None if rate is None else _rate(rate, path),
        "temperature": None if temperature is None else _rate(temperature, path),
        "epochs": None if epochs is None else _count(epochs, path),
        "zca": zca,
        "made_with": said_in(values) or named_in_file(path),
    }


def _rate(value: Any, path: Path) -> float:
    """Return a number of a file: some methods store a rate per step, of which the last counts.

    Raises:
        BenchError: it is no number.
    """
    try:
        return float(torch.as_tensor(value, dtype=torch.float64).flatten()[-1])
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise BenchError(f"'{path}' holds a value that is no number: {error}") from error


def _count(value: Any, path: Path) -> int:
    """Return a whole number of a file; raise ``BenchError`` if it is none."""
    number = _rate(value, path)
    if not number.is_integer():
        raise BenchError(f"'{path}' says {number:g} epochs: expected a whole number")
    return int(number)


def _are_tensors(values: Sequence[Any]) -> bool:
    return all(isinstance(value, Tensor) for value in values)
