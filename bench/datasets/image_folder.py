"""Reading of a dataset from image folders: ``train/CLASS/*.png`` and ``test/CLASS/*.png``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.source import PARTS, Arrays, Progress
from bench.datasets.spec import DatasetSpec
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, open_plain

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")

# Only these are tried, whatever a file is called: for some formats (PostScript), Pillow would start
# another program on the file.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
# Pillow's modes that convert to grey or RGB without loss, and what they convert to.
_LOSSLESS = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}


def read_folder(
    root: Path, known: DatasetSpec | None, progress: Progress
) -> tuple[Arrays, tuple[str, ...]]:
    """Read every image below ``root``.

    Args:
        root: holds ``train`` and ``test``, each with one folder per class.
        known: the registered dataset of which this is a copy; its class names give the labels, and
            grey images become RGB if it is RGB. ``None`` for a new dataset.
        progress: called as images are read.

    Returns:
        The arrays, and the class names in label order. Classes of a new dataset are in
        alphabetical order, or in numerical order if every name is a number. The images are grey
        ``(N, H, W)`` only if all of them are, else RGB ``(N, H, W, 3)``.

    Raises:
        BenchError: a folder is missing or empty, an image cannot be read, sizes differ.
    """
    classes = _class_names(root, known)
    files = {
        part: [(f, label) for label, name in enumerate(classes) for f in _files(root, part, name)]
        for part in PARTS
    }
    size = _image_size(files["train"][0][0], sum(map(len, files.values())))
    images = {part: _read_all([f for f, _ in files[part]], size, part, progress) for part in PARTS}
    colour = any(image.ndim == 3 for part in PARTS for image in images[part])
    colour = colour or (known is not None and known.channels == 3)
    stacked = {f"x_{part}": _stack(images[part], colour) for part in PARTS}
    labels = {f"y_{part}": np.array([label for _, label in files[part]]) for part in PARTS}
    return Arrays(**stacked, **labels), classes


def _class_names(root: Path, known: DatasetSpec | None) -> tuple[str, ...]:
    """Return the names of the class folders in label order, the same in both parts."""
    train, test = (_folders(root, part) for part in PARTS)
    if train != test:
        differing = ", ".join(sorted(train ^ test)[:5])
        raise BenchError(
            f"'{root}': train and test must have the same classes; not so: {differing}"
        )
    if not train:
        raise BenchError(f"'{root}/train' holds no class folders: expected train/CLASS/*.png")
    if known is not None and train == set(known.class_names):
        return known.class_names
    numbers = all(name.isascii() and name.isdigit() for name in train)
    names = tuple(sorted(train, key=int) if numbers else sorted(train))
    if known is not None and names != tuple(map(str, range(known.num_classes))):
        raise BenchError(
            f"'{root}': the class folders ({', '.join(names[:3])}, ...) are not those of "
            f"'{known.name}': name them {', '.join(known.class_names[:3])}, ... or 0 to "
            f"{known.num_classes - 1}"
        )
    return names


def _folders(root: Path, part: str) -> set[str]:
    if not (root / part).is_dir():
        raise BenchError(f"'{root}' has no folder '{part}': expected train/CLASS and test/CLASS")
    return {p.name for p in (root / part).iterdir() if p.is_dir() and not p.name.startswith(".")}


def _files(root: Path, part: str, name: str) -> list[Path]:
    folder = root / part / name
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
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
    height, width = _read(first, None).shape[:2]
    total = count * height * width * 3  # in RGB, whatever the mode
    if total > Limit.IMPORT_BYTES:
        raise BenchError(
            f"{count:,} images of {height}x{width} are {total:,} bytes: "
            f"at most {Limit.IMPORT_BYTES:,} are allowed"
        )
    return height, width


def _read_all(
    files: list[Path], size: tuple[int, int], part: str, progress: Progress
) -> list[NDArray[np.uint8]]:
    images = []
    for i, file in enumerate(files):
        images.append(_read(file, size))
        if i % 256 == 255 or i + 1 == len(files):
            progress(f"reading {part}", i + 1, len(files))
    return images


def _read(file: Path, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Read one image: uint8 ``(H, W)`` or ``(H, W, 3)``; its size is checked before its pixels."""
    from PIL import Image

    try:
        with open_plain(file) as opened, Image.open(opened, formats=_FORMATS) as image:
            _check_image(image, size, file)
            return np.array(image.convert(_LOSSLESS[image.mode]))
    except BenchError:
        raise
    # On damaged files, Pillow's decoders raise exceptions of many types.
    except Exception as error:
        raise BenchError(f"'{file}' cannot be read as an image: {error}") from error


def _check_image(image: PILImage, size: tuple[int, int] | None, file: Path) -> None:
    """Check the header of an image before its pixels are unpacked.

    Raises:
        BenchError: size or mode is not allowed.
    """
    if size is not None and (image.height, image.width) != size:
        raise BenchError(
            f"'{file}' is {image.height}x{image.width}, the first image is "
            f"{size[0]}x{size[1]}: all images must have one size"
        )
    if image.height * image.width > Limit.VALUES_PER_IMAGE:
        raise BenchError(
            f"'{file}' is {image.height}x{image.width}: more than the "
            f"{Limit.VALUES_PER_IMAGE:,} pixels that are allowed"
        )
    if image.mode not in _LOSSLESS:
        raise BenchError(
            f"'{file}' is of mode {image.mode}: expected 8-bit grey or RGB without alpha"
        )


def _stack(images: list[NDArray[np.uint8]], colour: bool) -> NDArray[Any]:
    if not colour:
        return np.stack(images)
    rgb = [np.repeat(i[:, :, None], 3, axis=2) if i.ndim == 2 else i for i in images]
    return np.stack(rgb)
