"""Reading of a dataset from image folders: ``train/CLASS/*.png`` and ``test/CLASS/*.png``."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.image_file import SUFFIXES, read_image
from bench.datasets.source import PARTS, Arrays, Progress
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, refuse_outside

# What operating systems leave in folders of images.
_SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
_SYSTEM_FOLDERS = ("__MACOSX",)


def read_folder(
    root: Path,
    known: DatasetSpec | None,
    progress: Progress,
    report: Callable[[str], object] = lambda _: None,
) -> tuple[Arrays, tuple[str, ...]]:
    """Read every image below ``root``.

    Args:
        root: holds ``train`` and ``test``, each with one folder per class.
        known: the registered dataset of which this is a copy; its class names give the labels, and
            grey images become RGB if it is RGB. ``None`` for a new dataset.
        progress: called as images are read.
        report: receives, in lines, what was converted and what was not read.

    Returns:
        The arrays, and the class names in label order. Classes of a new dataset are in
        alphabetical order, or in numerical order if every name is a number. The images are grey
        ``(N, H, W)`` only if all of them are, else RGB ``(N, H, W, 3)``.

    Raises:
        BenchError: a folder is missing or empty, an image cannot be read, sizes differ.
    """
    folders = {part: _part_folders(root, part) for part in PARTS}
    classes = _class_names(root, folders, known)
    files = {
        part: [
            (file, label)
            for label, name in enumerate(classes)
            for file in _files(folders[part][name], name)
        ]
        for part in PARTS
    }
    _report_unread(root, report)
    remarks: Counter[str] = Counter()
    remark = lambda text: remarks.update([text])  # noqa: E731
    size = _image_size(files["train"][0][0], sum(map(len, files.values())))
    images = {
        part: _read_all([f for f, _ in files[part]], size, part, progress, remark) for part in PARTS
    }
    for text, count in sorted(remarks.items()):
        report(f"{count:,} of {sum(map(len, files.values())):,} files: {text}")
    colour = any(image.ndim == 3 for part in PARTS for image in images[part])
    colour = colour or (known is not None and known.channels == 3)
    stacked = {f"x_{part}": stack_images(images[part], colour) for part in PARTS}
    labels = {f"y_{part}": np.array([label for _, label in files[part]]) for part in PARTS}
    return Arrays(**stacked, **labels), classes


def read_classes(root: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read ``root/CLASS/*.png``, the images of one part.

    Returns:
        The images, uint8 ``(N, H, W)`` if all are grey, else ``(N, H, W, 3)``; their labels, int64;
        and the class names in label order, as :func:`read_folder` orders them.

    Raises:
        BenchError: there are no classes, a class is empty, an image cannot be read or lies outside
            ``root`` behind a link, sizes differ.
    """
    folders = _folders(root)
    if not folders:
        raise BenchError(f"'{root}' holds no class folders: expected CLASS/*.png")
    names = _in_label_order(folders)
    files = [(file, i) for i, name in enumerate(names) for file in _files(folders[name], name)]
    for file, _ in files:
        refuse_outside(file, root)
    ignore = lambda *_: None  # noqa: E731
    size = _image_size(files[0][0], len(files))
    images = _read_all([file for file, _ in files], size, "images", ignore, ignore)
    stacked = stack_images(images, any(image.ndim == 3 for image in images))
    return stacked, np.array([label for _, label in files], dtype=np.int64), names


def _class_names(
    root: Path, folders: Mapping[str, Mapping[str, Path]], known: DatasetSpec | None
) -> tuple[str, ...]:
    """Return the names of the class folders in label order, the same in both parts."""
    train, test = (set(folders[part]) for part in PARTS)
    if train != test:
        differing = ", ".join(sorted(train ^ test)[:5])
        raise BenchError(
            f"'{root}': train and test must have the same classes; not so: {differing}"
        )
    if not train:
        raise BenchError(f"'{root}/train' holds no class folders: expected train/CLASS/*.png")
    if known is not None and train == set(map(_composed, known.class_names)):
        return tuple(map(_composed, known.class_names))
    names = _in_label_order(train)
    if known is not None and names != tuple(map(str, range(known.num_classes))):
        raise BenchError(
            f"'{root}': the class folders ({', '.join(names[:3])}, ...) are not those of "
            f"'{known.name}': name them {', '.join(known.class_names[:3])}, ... or 0 to "
            f"{known.num_classes - 1}"
        )
    return names


def _in_label_order(names: Collection[str]) -> tuple[str, ...]:
    """Return class names in alphabetical order, or in numerical order if all are numbers."""
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return tuple(sorted(names, key=int) if numbers else sorted(names))


def _composed(name: str) -> str:
    """Return a name in Unicode's composed form.

    macOS writes an accent as a character of its own, other systems do not: the names look alike
    and differ.
    """
    return unicodedata.normalize("NFC", name)


def _part_folders(root: Path, part: str) -> dict[str, Path]:
    """Return the class folders of a part by their name in composed form."""
    if not (root / part).is_dir():
        raise BenchError(f"'{root}' has no folder '{part}': expected train/CLASS and test/CLASS")
    return _folders(root / part)


def _folders(root: Path) -> dict[str, Path]:
    """Return the folders in ``root``, one per class, by their name in composed form."""
    folders: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.is_dir() and not _is_system(path):
            raise BenchError(
                f"'{path}' is in no class folder: expected {root.name}/CLASS/{path.name}"
            )
        if not path.is_dir() or _is_system(path):
            continue
        name = _composed(path.name)
        if name in folders:
            raise BenchError(
                f"'{folders[name]}' and '{path}' have the same name but for how Unicode writes it"
            )
        folders[name] = path
    return folders


def _is_system(path: Path) -> bool:
    """Return whether an operating system made a file or folder: its name is hidden or known."""
    name = path.name
    return name.startswith(".") or name.lower() in _SYSTEM_FILES or name in _SYSTEM_FOLDERS


def _report_unread(root: Path, report: Callable[[str], object]) -> None:
    """Report what lies beside the class folders, which is not read."""
    beside = [p for p in root.iterdir() if p.name not in PARTS]
    beside += [p for part in PARTS for p in (root / part).iterdir() if not p.is_dir()]
    names = sorted(str(p.relative_to(root)) for p in beside if not _is_system(p))
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        report(f"not read, because only train/CLASS and test/CLASS are: {shown}")


def _files(folder: Path, name: str) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if not _is_system(p))
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            raise BenchError(f"'{file}' is not an image: allowed are {', '.join(SUFFIXES)}")
    if not files:
        raise BenchError(f"class '{name}' is empty: '{folder}' holds no images")
    return files


def _image_size(first: Path, count: int) -> tuple[int, int]:
    """Return ``(height, width)`` of the first image.

    Raises:
        BenchError: ``count`` images of that size are more than an import may hold.
    """
    height, width = read_image(first, None, lambda _: None).shape[:2]
    total = count * height * width * 3  # in RGB, whatever the mode
    if total > Limit.IMPORT_BYTES:
        raise BenchError(
            f"{count:,} images of {height}x{width} are {total:,} bytes: "
            f"at most {Limit.IMPORT_BYTES:,} are allowed"
        )
    return height, width


def _read_all(
    files: list[Path],
    size: tuple[int, int],
    part: str,
    progress: Progress,
    remark: Callable[[str], object],
) -> list[NDArray[np.uint8]]:
    images = []
    for i, file in enumerate(files):
        images.append(read_image(file, size, remark))
        if i % 256 == 255 or i + 1 == len(files):
            progress(f"reading {part}", i + 1, len(files))
    return images


def stack_images(images: list[NDArray[np.uint8]], colour: bool) -> NDArray[Any]:
    """Return images of one size as one array: ``(N, H, W, 3)`` if in colour, else ``(N, H, W)``."""
    if not colour:
        return np.stack(images)
    rgb = [np.repeat(i[:, :, None], 3, axis=2) if i.ndim == 2 else i for i in images]
    return np.stack(rgb)
