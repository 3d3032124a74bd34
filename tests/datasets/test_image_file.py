"""Reading of one image file: what is converted, what is refused, and what is remarked on."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets.image_file import read_image
from bench.support.errors import BenchError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
UPRIGHT = 1


def read(path: Path, size: tuple[int, int] | None = None) -> tuple[np.ndarray, list[str]]:
    remarks: list[str] = []
    return read_image(path, size, remarks.append), remarks


def write_png(path: Path, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> None:
    """Write a PNG of 2 x 1 pixels with any bit depth and colour type."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
        + chunk(b"IDAT", zlib.compress(b"\0" + rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}", exif=exif)
    images, remarks = read(tmp_path / f"a.{suffix}")
    turned = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: PIXELS[::-1].transpose(1, 0, 2),
        7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
        8: PIXELS[:, ::-1].transpose(1, 0, 2),
    }
    assert np.array_equal(images, turned[orientation])
    assert bool(remarks) == (orientation != UPRIGHT)
    shape = images.shape[:2]
    assert read(tmp_path / f"a.{suffix}", shape)[0].shape[:2] == shape


@pytest.mark.parametrize(
    ("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)], ids=["grey", "rgb", "la", "rgba"]
)
@pytest.mark.parametrize("value", [1, 255, 65535])
def test_16_bits_are_refused(tmp_path: Path, colour: int, channels: int, value: int) -> None:
    path = tmp_path / "deep.png"
    write_png(path, 16, colour, struct.pack(">H", value) * 2 * channels)
    with pytest.raises(BenchError, match=r"deep\.png' (has more than 8 bits|is of mode)"):
        read(path)


@pytest.mark.parametrize("magic", [b"P6", b"P3", b"P5", b"P2"])
def test_a_portable_pixmap_of_16_bits_is_refused(tmp_path: Path, magic: bytes) -> None:
    channels = 3 if magic in (b"P6", b"P3") else 1
    values = [300] * channels
    plain = magic in (b"P3", b"P2")
    body = " ".join(map(str, values)).encode() if plain else struct.pack(f">{channels}H", *values)
    path = tmp_path / "deep.ppm"
    path.write_bytes(magic + b"\n1 1\n65535\n" + body)
    with pytest.raises(BenchError, match=r"deep\.ppm' (has more than 8 bits|is of mode)"):
        read(path)


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "extra"),
    [
        (8, 0, b"\x01\x02", b"\x00\x01"),
        (8, 2, b"\x01\x02\x03\x04\x05\x06", b"\x00\x01\x00\x02\x00\x03"),
    ],
    ids=["grey", "rgb"],
)
def test_a_transparent_colour_is_refused(
    tmp_path: Path, depth: int, colour: int, rows: bytes, extra: bytes
) -> None:
    chunk = struct.pack(">I", len(extra)) + b"tRNS" + extra
    chunk += struct.pack(">I", zlib.crc32(b"tRNS" + extra))
    write_png(tmp_path / "a.png", depth, colour, rows, chunk)
    with pytest.raises(BenchError, match="has transparent pixels"):
        read(tmp_path / "a.png")


def test_a_transparent_palette_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS).quantize(4)
    image.save(tmp_path / "plain.png")
    assert read(tmp_path / "plain.png")[0].shape == (2, 4, 3)
    image.save(tmp_path / "see-through.png", transparency=0)
    with pytest.raises(BenchError, match="has transparent pixels"):
        read(tmp_path / "see-through.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "I", "F", "I;16", "LAB"])
def test_modes_that_would_lose_something_are_refused_by_name(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.tif")
    with pytest.raises(BenchError, match=f"is of mode {mode}"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_an_animation_is_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(BenchError, match="holds 3 images"):
        read(path)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0].tolist() == [[255, 0]]


def test_a_colour_profile_is_remarked_on(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=profile)
    images, remarks = read(tmp_path / "a.png")
    assert np.array_equal(images, PIXELS)
    assert remarks == ["colour profiles are not applied"]
