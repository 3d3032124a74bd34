"""Sources of distilled sets: files and folders in any layout of this field, and a hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.distilled.base import DistilledSet
from bench.distilled.io import is_distilled_file, load
from bench.exchange.given import HUB
from bench.exchange.hub import is_saved_dataset, read_hub, read_saved_dataset
from bench.exchange.image_tree import read_image_tree
from bench.exchange.raw_set import RawSet
from bench.exchange.tensor_files import read_npz_tensors, read_pt, read_safetensors
from bench.exchange.tensor_layouts import beside, in_pt, keyed
from bench.support.errors import BenchError

SUFFIXES = (".pt", ".pth", ".npz", ".safetensors")
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
        return [keyed(read_npz_tensors(path), "npz", path)]
    if is_distilled_file(path):
        return [load(path)]
    if suffix == ".safetensors":
        return [keyed(read_safetensors(path), "safetensors", path)]
    if suffix in SUFFIXES:
        return in_pt(path)
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
            return in_pt(folder / name)
    if parts and len(parts) == len(images) and all("best" in p.name for p in parts):
        return [_joined([beside(p, read_pt(p)) for p in parts], folder)]
    if len(images) == 1:
        return in_pt(images[0])
    if not images and len(files) == 1:
        return in_pt(files[0])
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
