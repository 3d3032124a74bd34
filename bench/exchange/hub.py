"""Distilled sets in Hugging Face's ``datasets`` format, on disk or on the hub (extra ``hub``)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.datasets.image_file import decode_image, read_image
from bench.datasets.image_folder import stack_images
from bench.exchange.given import HUB
from bench.exchange.hub_name import LAYOUT, HubName
from bench.exchange.raw_set import RawSet
from bench.support.errors import BenchError
from bench.support.extras import import_extra
from bench.support.untrusted import Limit, refuse_outside

if TYPE_CHECKING:
    from datasets import Dataset

_IMAGE_NAMES = ("image", "img", "images", "pixels", "x")
# Soft labels first: hard ones beside them say less.
_LABEL_NAMES = ("soft_label", "label", "labels", "fine_label", "target", "y")
# Types of text in Arrow.
_WORDS = ("string", "large_string")
# Configurations that a message lists.
_LISTED = 20


def is_saved_dataset(folder: Path) -> bool:
    """Return whether ``Dataset.save_to_disk`` wrote a folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_saved_dataset(folder: Path, image: str | None, label: str | None) -> RawSet:
    """Read what ``Dataset.save_to_disk`` wrote; of several splits, ``train``.

    Raises:
        BenchError: the extra ``hub`` is not installed, or the folder cannot be read.
    """
    library = _library(str(folder))
    try:
        opened = library.load_from_disk(str(folder))
    # Damaged Arrow files raise exceptions of many types.
    except Exception as error:
        raise BenchError(f"'{folder}' is not a whole saved dataset: {_short(error)}") from error
    return _read(opened, str(folder), image, label, folder)


def read_hub(text: str, image: str | None, label: str | None) -> RawSet:
    """Fetch ``OWNER/NAME@REVISION:CONFIGURATION`` from the hub; code of a dataset is never run.

    Raises:
        BenchError: the extra ``hub`` is not installed, the dataset cannot be fetched, or it has
            several configurations and none is named.
    """
    name, place = HubName.parse(text), f"{HUB}{text}"
    library = _library(place)
    try:
        opened = library.load_dataset(name.repository, name.configuration, revision=name.revision)
    except Exception as error:  # of the network, the hub and Arrow
        choice = _choice(name, library) if isinstance(error, ValueError) else None
        raise BenchError(choice or f"'{place}' cannot be fetched: {_short(error)}") from error
    cache = Path(library.config.HF_CACHE_HOME)
    return replace(_read(opened, place, image, label, cache), layout=name.layout)


def _choice(name: HubName, library: Any) -> str | None:
    """Say which configurations a dataset has; ``None`` if that is not what is wrong."""
    try:
        known = library.get_dataset_config_names(name.repository, revision=name.revision)
    except Exception:  # what is wrong is said already
        return None
    wrong = len(known) > 1 if name.configuration is None else name.configuration not in known
    if not wrong:
        return None
    at = "" if name.revision is None else f"@{name.revision}"
    names = ", ".join(known[:_LISTED]) + (", ..." if len(known) > _LISTED else "")
    says = (
        "has several configurations" if name.configuration is None
        else f"has no configuration '{name.configuration}'"
    )  # fmt: skip
    return (
        f"'{HUB}{name.repository}{at}' {says}: name one as {HUB}{name.repository}{at}:{known[0]}; "
        f"it has {names}"
    )


def _library(what: str) -> Any:
    return import_extra("datasets", "hub", f"'{what}'")


def _read(opened: Any, place: str, image: str | None, label: str | None, root: Path) -> RawSet:
    if isinstance(opened, dict):  # splits by name
        if "train" not in opened:
            names = ", ".join(opened) or "nothing"
            raise BenchError(f"'{place}' has no split 'train': it has {names}")
        opened = opened["train"]
    columns: list[str] = list(opened.column_names)
    image = _column(columns, image, _IMAGE_NAMES, "image", place)
    label = _column(columns, label, _LABEL_NAMES, "label", place)
    _check_types(opened, image, label, place)
    try:
        images = _images(opened, image, place, root)
        labels, class_names = _labels(opened, label)
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"'{place}' cannot be read: {_short(error)}") from error
    return RawSet(images, labels, LAYOUT, place, class_names=class_names)


def _check_types(opened: Dataset, image: str, label: str, place: str) -> None:
    """Raise ``BenchError`` unless the columns hold images, or arrays of numbers, and classes."""
    library = _library(place)
    kind = opened.features[image]
    if not isinstance(kind, library.Image) and (
        isinstance(kind, library.Value | library.ClassLabel) or not _is_numeric(kind)
    ):
        raise BenchError(f"the column '{image}' of '{place}' holds no images, but {kind!s:.80}")
    kind = opened.features[label]
    words = isinstance(kind, library.Value) and kind.dtype in _WORDS
    if not words and not _is_numeric(kind):
        raise BenchError(f"the column '{label}' of '{place}' holds no classes, but {kind!s:.80}")


def _is_numeric(kind: Any) -> bool:
    """Return whether a column's type is a number, or a list or an array of numbers."""
    while hasattr(kind, "feature"):  # of a list
        kind = kind.feature
    return str(getattr(kind, "dtype", "")).startswith(("int", "uint", "float", "bool"))


def _labels(opened: Dataset, column: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Return labels, and the names of the classes if the column has names or words."""
    kind = opened.features[column]
    if getattr(kind, "dtype", None) in _WORDS:
        names, labels = np.unique(np.array(opened[column][:]), return_inverse=True)
        return torch.from_numpy(labels), tuple(map(str, names))
    class_names = getattr(kind, "names", None) or ()
    return torch.from_numpy(np.array(opened[column][:])), tuple(map(str, class_names))


def _images(opened: Dataset, column: str, place: str, root: Path) -> torch.Tensor:
    """Return the images of a column: ``(N, H, W)`` or ``(N, H, W, 3)``, or as its arrays are.

    Pictures are decoded here, not by the library, which would start another program on some
    formats (PostScript) and open what a row names, wherever it is.
    """
    library, arrays, total = _library(place), list[Any](), 0
    pictures = isinstance(opened.features[column], library.Image)
    if pictures:
        opened = opened.cast_column(column, library.Image(decode=False))
    for i, row in enumerate(opened.select_columns([column])):
        value = row[column]
        label = f"image {i} of {place}"
        array = _picture(value, label, root) if pictures else np.asarray(value)
        if arrays and array.shape[:2] != arrays[0].shape[:2]:
            raise BenchError(
                f"{label} is {array.shape}, the first image is {arrays[0].shape}: all images must "
                "have one size"
            )
        total += array.nbytes
        if total > Limit.IMPORT_BYTES:
            raise BenchError(f"its images have more than {Limit.IMPORT_BYTES:,} bytes")
        arrays.append(array)
    if not pictures:
        return torch.from_numpy(np.stack(arrays))
    return torch.from_numpy(stack_images(arrays, any(array.ndim == 3 for array in arrays)))


def _picture(value: Mapping[str, Any], label: str, root: Path) -> np.ndarray[Any, Any]:
    """Return the pixels of a picture that is in the dataset itself, or in a file below ``root``."""
    if value["bytes"] is not None:
        return decode_image(io.BytesIO(value["bytes"]), label, lambda _: None)
    path = Path(str(value["path"]))
    refuse_outside(path, root)
    return read_image(path, None, lambda _: None)


def _column(
    columns: list[str], asked: str | None, usual: tuple[str, ...], kind: str, place: str
) -> str:
    if asked is not None and asked not in columns:
        raise BenchError(f"'{place}' has no column '{asked}': it has {', '.join(columns)}")
    found = asked or next((name for name in usual if name in columns), None)
    if found is None:
        raise BenchError(
            f"'{place}' has no {kind} column that bench knows: name one of {', '.join(columns)} "
            f"with --{kind}-column"
        )
    return found


def _short(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
