"""What users say of foreign and exported sets: how one is stored, and in what form to write it."""

from __future__ import annotations

from dataclasses import dataclass

# The prefix of a source on the Hugging Face hub.
HUB = "hf:"
# The orders of colours in a source.
RGB, BGR = "rgb", "bgr"
ORDERS = (RGB, BGR)
# The formats of an export, and the types in which it stores images; named here without torch.
FORMAT_NAMES = ("safetensors", "pt", "npz", "imagefolder", "hf")
IMAGE_TYPES = ("float32", "float16", "uint8")


@dataclass(frozen=True)
class Given:
    """What a user says of a foreign set; ``None`` is detected.

    Attributes:
        normalisation: one of :data:`bench.distilled.units.UNITS`, or ``MEAN/STD``.
        zca: whether the images are whitened.
        learning_rate: to train with.
        factor: parts along each side of an image.
        temperature: at which soft labels are matched.
        epochs: to train for.
        channels: one of :data:`ORDERS`.
    """

    normalisation: str | None = None
    zca: bool | None = None
    learning_rate: float | None = None
    factor: int | None = None
    temperature: float | None = None
    epochs: int | None = None
    channels: str | None = None
