"""Layouts in which this field publishes distilled sets, recognised by what a file holds.

Sources of the layouts: VICO-UoE/DatasetCondensation ``main.py`` and ``main_DM.py``;
GeorgeCazenavette/mtt-distillation ``distill.py``; snu-mllab/Efficient-Dataset-Condensation
``condense.py``; NUS-HPC-AI-Lab/DATM ``distill/DATM.py``; NUS-HPC-AI-Lab/DD-Ranking ``README.md``;
justincui03/dc_benchmark ``data_loader/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.datasets.zca import ZCA
from bench.distilled.base import DistilledSet
from bench.distilled.io import is_distilled_file, load
from bench.exchange.generator_pt import as_generator, is_generator
from bench.exchange.given import HUB
from bench.exchange.hub import is_saved_dataset, read_hub, read_saved_dataset
from bench.exchange.image_tree import read_image_tree
from bench.exchange.made_with import named_in_file, said_in, usual_for
from bench.exchange.raw_set import RawSet
from bench.exchange.tensor_files import read_npz_tensors, read_pt, read_safetensors
from bench.support.errors import BenchError

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
# Names under which tensors of a set are stored, most usual first.
_IMAGES = ("images", "image", "data", "x", "x_train", "images_syn", "image_syn", "syn_images")
_LABELS = ("labels", "label", "targets", "y", "y_train", "label_syn", "soft_labels", "syn_labels")
_RATES = ("lr", "learning_rate", "syn_lr", "lr_syn")
_ALLOWED = (
    "a .pt, .npz or .safetensors file, a folder of class/*.png, a folder with images*.pt and "
    "labels*.pt, a saved Hugging Face dataset, or hf:OWNER/NAME[@REVISION][:CONFIGURATION]"
)


def check_exists(source: str) -> None:
    """Check that there is something to read, which must not wait for a dataset's download.

    Args:
        source: a file, a folder, or ``hf:OWNER/NAME``; only a read shows whether a hub has it.

    Raises:
        BenchError: there is nothing.
    """
    if not source.startswith(HUB) and not Path(source).exists():
        raise BenchError(f"'{source}' does not exist: give {_ALLOWED}")


def read_source(
    source: str, image_column: str | None = None, label_column: str | None = None
) -> Sequence[RawSet | DistilledSet]:
    """Read every distilled set that a source holds; a file can hold several experiments.

    A set that bench wrote says itself how it is stored, so it is returned as it is, on the CPU.

    Args:
        source: a file, a folder, or ``hf:OWNER/NAME``; see :mod:`bench.exchange.hub_name`.
        image_column: of a Hugging Face dataset; default: its only image column.
        label_column: likewise.

    Raises:
        BenchError: there is nothing, or nothing that is recognised, at ``source``.
    """
    check_exists(source)
    columns = image_column is not None or label_column is not None
    if columns and not source.startswith(HUB) and not is_saved_dataset(Path(source)):
        raise BenchError(
            f"'{source}' is no Hugging Face dataset: leave out --image-column and --label-column"
        )
    if source.startswith(HUB):
        return [read_hub(source.removeprefix(HUB), image_column, label_column)]
    path = Path(source)
    if path.is_dir():
        if is_saved_dataset(path):
            return [read_saved_dataset(path, image_column, label_column)]
        return _in_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return [_keyed(read_npz_tensors(path), "npz", path)]
    if is_distilled_file(path):
        return [load(path)]
    if suffix == ".safetensors":
        return [_keyed(read_safetensors(path), "safetensors", path)]
    if suffix in SUFFIXES:
        return _in_pt(path)
    raise BenchError(f"'{source}' is not a distilled set that bench can read: give {_ALLOWED}")


def within(path: Path) -> Path:
    """Return the only set in a folder, beside its card for instance; else the path itself."""
    if not path.is_dir() or is_saved_dataset(path):
        return path
    sets = [
        each
        for each in sorted(path.iterdir())
        if (each.suffix.lower() in SUFFIXES if each.is_file() else is_saved_dataset(each))
    ]
    return sets[0] if len(sets) == 1 else path


def _in_folder(folder: Path) -> Sequence[RawSet | DistilledSet]:
    """Read a folder: tensors side by side, or images by class."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".pt", ".pth"))
    images = [p for p in files if "images" in p.name and "zca" not in p.name]
    parts = [p for p in images if re.search(r"_\d+\.pth?$", p.name)]
    for name in ("images_best.pt", "images.pt"):
        if (folder / name) in images:
            return _in_pt(folder / name)
    if parts and len(parts) == len(images) and all("best" in p.name for p in parts):
        return [_joined([_beside(p, read_pt(p)) for p in parts], folder)]
    if len(images) == 1:
        return _in_pt(images[0])
    if not images and len(files) == 1:
        return _in_pt(files[0])
    if files:
        names = ", ".join(p.name for p in (images or files)[:8])
        raise BenchError(f"'{folder}' holds several sets: name one of them ({names})")
    return [read_image_tree(folder)]


def _joined(parts: Sequence[RawSet], folder: Path) -> RawSet:
    """Return one set of parts that were written apart, for instance ``images_best_0.pt``."""
    rates = {part.learning_rate for part in parts} - {None}
    try:
        return RawSet(
            torch.cat([part.images for part in parts]),
            torch.cat([part.labels for part in parts]),
            f"tensors in {len(parts)} parts",
            str(folder),
            rates.pop() if len(rates) == 1 else None,
            learns_rate=True,
            made_with=parts[0].made_with,
        )
    except RuntimeError as error:
        raise BenchError(f"the parts in '{folder}' do not fit together: {error}") from error


def _in_pt(path: Path) -> Sequence[RawSet | DistilledSet]:
    value = read_pt(path)
    if is_generator(value):
        return [as_generator(value, path)]
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        return _experiments(value, path)
    if isinstance(value, Mapping):
        return [_keyed(value, "dictionary of tensors", path)]
    if isinstance(value, Tensor):
        return [_beside(path, value)]
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


def _beside(path: Path, images: Tensor) -> RawSet:
    """Read the labels, and the learned rate if there is one, that lie beside a file of images."""
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


def _keyed(values: Mapping[Any, Any], layout: str, path: Path) -> RawSet:
    """Read tensors by name."""
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
