"""One image file: its pixels, converted without loss, or refused by name.

Nothing that a file holds is changed or dropped silently. What Pillow would drop (16-bit depth,
transparency, further frames) is refused; what is converted (orientation, a palette) is exact; what
a reader should know (a colour profile that is not applied) is remarked on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

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
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
_MAXVAL_8_BIT = 255


def read_image(
    file: Path, size: tuple[int, int] | None, remark: Callable[[str], object]
) -> NDArray[np.uint8]:
    """Read one image upright: uint8 ``(H, W)`` or ``(H, W, 3)``.

    The number of pixels and their kind are checked before the pixels are unpacked.

    Args:
        file: the image.
        size: the ``(height, width)`` that it must have; ``None`` for any.
        remark: receives what was converted, or is not used, in a few words.

    Raises:
        BenchError: the file is damaged, of another size, or holds what would be lost.
    """
    try:
        with open_plain(file) as opened:
            pixels = decode_image(opened, str(file), remark)
    except (OSError, ValueError) as error:
        raise BenchError(f"'{file}' cannot be read as an image: {error}") from error
    if size is not None and pixels.shape[:2] != size:
        raise BenchError(
            f"'{file}' is {pixels.shape[0]}x{pixels.shape[1]}, the first image is "
            f"{size[0]}x{size[1]}: all images must have one size"
        )
    return pixels


def decode_image(opened: BinaryIO, name: str, remark: Callable[[str], object]) -> NDArray[np.uint8]:
    """Decode the bytes of one image file; see :func:`read_image`.

    Args:
        opened: the bytes, whatever made them.
        name: of the image, for messages.
        remark: as in :func:`read_image`.

    Raises:
        BenchError: they are damaged, or hold what would be lost.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(opened, formats=_FORMATS) as image:
            _check_header(image, name)
            if image.info.get("icc_profile"):
                remark("colour profiles are not applied")
            if image.getexif().get(_ORIENTATION, 1) in range(2, 9):
                remark("images turned upright as their EXIF orientation says")
            image.load()  # for TIFF, this already turns the image
            upright = ImageOps.exif_transpose(image)
            return np.array(upright.convert(_LOSSLESS[image.mode]))
    except BenchError:
        raise
    except UnidentifiedImageError:
        formats = ", ".join(_FORMATS)
        raise BenchError(f"'{name}' cannot be read as an image: it is none of {formats}") from None
    # On damaged files, Pillow's decoders raise exceptions of many types.
    except Exception as error:
        raise BenchError(f"'{name}' cannot be read as an image: {error}") from error


def _check_header(image: PILImage, file: str) -> None:
    """Raise an error for an image that is too large, or that cannot be converted without loss.

    Only the header has been read so far. Pillow forgets the depth of the channels, and may unpack
    the pixels, as soon as it is asked for EXIF data.
    """
    if image.height * image.width > Limit.VALUES_PER_IMAGE:
        raise BenchError(
            f"'{file}' is {image.height}x{image.width}: more than the "
            f"{Limit.VALUES_PER_IMAGE:,} pixels that are allowed"
        )
    if image.mode not in _LOSSLESS:
        raise BenchError(
            f"'{file}' is of mode {image.mode}: expected 8-bit grey or RGB without alpha"
        )
    if "transparency" in image.info:
        raise BenchError(
            f"'{file}' has transparent pixels (mode {image.mode}): draw it on a background first"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise BenchError(f"'{file}' holds {frames} images (an animation or pages): split it first")
    if _is_deep(image):
        raise BenchError(
            f"'{file}' has more than 8 bits per channel: convert it to 8 bits, scaled as you mean"
        )


def _is_deep(image: PILImage) -> bool:
    """Return whether Pillow would cut the channels of an image to 8 bits.

    Pillow opens 16-bit colour as 8-bit RGB and says so only in how it will decode the pixels: a raw
    mode such as ``RGB;16B``, or the largest value of a PPM file.
    """
    for tile in getattr(image, "tile", ()):
        arguments: tuple[Any, ...] = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(value, str) and ";16" in value for value in arguments):
            return True
        if tile[0].startswith("ppm") and int(arguments[-1]) > _MAXVAL_8_BIT:
            return True
    return False
