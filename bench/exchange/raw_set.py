"""A distilled set as a file holds it, before its values are interpreted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.datasets.zca import ZCA
from bench.exchange.made_with import MadeWith


@dataclass(frozen=True)
class RawSet:
    """Tensors of a foreign distilled set, and what its layout says of them.

    Attributes:
        images: ``(N, ...)`` in any numeric dtype, range and order of channels.
        labels: ``(N,)`` or ``(N, classes)`` in any numeric dtype.
        layout: the layout, in a few words.
        place: the file or folder, and the experiment in it if there are several.
        learning_rate: the rate learned with the set, or ``None``.
        learns_rate: whether methods that use this layout learn a rate.
        factor: parts along each side of an image, of a factored set; ``None`` where the file does
            not say.
        temperature: at which its soft labels are matched, if the file says so.
        epochs: to train on it, if the file says so.
        zca: the statistics that whitened its images, if the file holds them.
        class_names: one per label, if the source names its classes.
        made_with: the network that it was made with, if the source or its layout tells.
    """

    images: Tensor
    labels: Tensor
    layout: str
    place: str
    learning_rate: float | None = None
    learns_rate: bool = False
    factor: int | None = None
    temperature: float | None = None
    epochs: int | None = None
    zca: ZCA | None = None
    class_names: tuple[str, ...] = ()
    made_with: MadeWith | None = None
