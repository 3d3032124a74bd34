"""Differentiable siamese augmentation (Zhao and Bilen, 2021, section 3 and appendix).

*Siamese* means that a real and a distilled batch are transformed alike: draw once, apply twice.

    draw = dsa.draw(len(real), spec.shape, generator, shared=True)
    loss = distance(net(dsa.apply(real, draw)), net(dsa.apply(distilled, draw)))
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.augment.base import Operation, Params
from bench.augment.geometric import Crop, Flip, Rotate, Scale
from bench.augment.intensity import Brightness, Contrast, Cutout, Saturation
from bench.datasets.spec import DatasetSpec
from bench.support.errors import UnknownNameError

FULL_STRATEGY = "color_crop_cutout_flip_scale_rotate"
MODES = ("single", "all")
# What a strategy can name, each a sequence of Kornia augmentations in the order of their use.
OPERATIONS: dict[str, tuple[type[Operation], ...]] = {
    "color": (Brightness, Saturation, Contrast),
    "crop": (Crop,),
    "cutout": (Cutout,),
    "flip": (Flip,),
    "scale": (Scale,),
    "rotate": (Rotate,),
}


@dataclass(frozen=True, eq=False)
class Draw:
    """The parameters of one augmentation of a batch.

    Attributes:
        n: the number of images.
        shape: their ``(C, H, W)``.
        shared: whether one row of parameters applies to all images, so that any batch size fits.
        operations: the names of the operations to apply, in order.
        steps: the Kornia augmentations with their parameters, in order; each replays as
            ``augmentation(images, params=params)``.
    """

    n: int
    shape: tuple[int, int, int]
    shared: bool
    operations: tuple[str, ...]
    steps: tuple[tuple[Operation, Params], ...]

    def values(self) -> tuple[Tensor, ...]:
        """Return the drawn parameters of all steps, in an order that :meth:`at` knows."""
        return tuple(value for _, params in self.steps for value in params.values())

    def at(self, values: Iterable[Tensor]) -> Draw:
        """Return the same operations at other parameters.

        Args:
            values: the parameters of another draw of these operations, as :meth:`values` has them.

        Raises:
            ValueError: there are too many or too few.
        """
        names = [(i, name) for i, (_, params) in enumerate(self.steps) for name in params]
        given = dict(zip(names, values, strict=True))
        steps = tuple(
            (module, {name: given[i, name] for name in params})
            for i, (module, params) in enumerate(self.steps)
        )
        return dataclasses.replace(self, steps=steps)


class DSA:
    """An augmentation strategy: draws parameters from a generator and applies them, differentiably.

    Images are float ``(N, C, H, W)`` in normalised units, of any floating dtype; the result has
    the same shape and dtype. Ranges are the paper's: see
    :mod:`bench.augment.geometric` and :mod:`bench.augment.intensity`.

    Args:
        strategy: names from ``color, crop, cutout, flip, scale, rotate`` joined by ``_``; empty or
            ``none`` leaves images unchanged.
        mode: ``single`` applies one operation per call, the same for the whole batch, drawn
            uniformly from the strategy; ``all`` applies every one in the strategy's order.

    Raises:
        UnknownNameError: an operation or the mode is unknown.
    """

    def __init__(self, strategy: str = FULL_STRATEGY, mode: str = "single") -> None:
        if mode not in MODES:
            raise UnknownNameError("augmentation mode", mode, MODES)
        self.operations = parse_strategy(strategy)
        self.strategy = "_".join(self.operations)
        self.mode = mode
        self._modules = {
            name: tuple(kind() for kind in OPERATIONS[name]) for name in self.operations
        }

    @classmethod
    def for_dataset(
        cls, spec: DatasetSpec, strategy: str = FULL_STRATEGY, mode: str = "single"
    ) -> DSA:
        """Return the strategy for a dataset, without flip if a mirrored image loses its label."""
        names = [name for name in parse_strategy(strategy) if spec.flip or name != "flip"]
        return cls("_".join(names), mode)

    def draw(
        self,
        n: int,
        shape: tuple[int, int, int],
        generator: torch.Generator,
        *,
        shared: bool = False,
    ) -> Draw:
        """Draw the parameters of one call.

        In ``single`` mode the operation is derived from the generator's state, which the host can
        read without waiting for the device. Must not be called while a CUDA graph is captured.

        Args:
            n: the number of images in the batch.
            shape: ``(C, H, W)`` of an image.
            generator: on the images' device.
            shared: whether to draw one set of parameters for all images, for any batch size.
        """
        chosen = self.operations
        if self.mode == "single" and len(chosen) > 1:
            chosen = (chosen[_index(generator, len(chosen))],)
        rows = 1 if shared else n
        modules = [module for name in chosen for module in self._modules[name]]
        steps = tuple((module, module.draw(rows, shape, generator)) for module in modules)
        return Draw(n, shape, shared, chosen, steps)

    def apply(self, images: Tensor, draw: Draw) -> Tensor:
        """Transform a batch at the parameters of ``draw``.

        Kornia's ``apply_transform`` is called directly, because its ``forward`` would store the
        batch and the parameters in the module.

        Args:
            images: ``(N, C, H, W)``, ``N`` any number for a shared draw, else ``draw.n``.
            draw: from :meth:`draw`.

        Raises:
            ValueError: the batch does not fit the draw.
        """
        if tuple(images.shape[1:]) != draw.shape or not (draw.shared or len(images) == draw.n):
            size = "N" if draw.shared else draw.n
            expected = (size, *draw.shape)
            raise ValueError(f"the draw is for images {expected}, not {tuple(images.shape)}")
        for module, params in draw.steps:
            images = module.apply_transform(images, params, module.flags)
        return images

    def __call__(
        self, images: Tensor, generator: torch.Generator, *, shared: bool = False
    ) -> Tensor:
        """Draw and apply in one call; ``generator`` must be on the images' device."""
        n, channels, height, width = images.shape
        draw = self.draw(n, (channels, height, width), generator, shared=shared)
        return self.apply(images, draw)

    def __repr__(self) -> str:
        return f"DSA(strategy={self.strategy!r}, mode={self.mode!r})"


def parse_strategy(strategy: str) -> tuple[str, ...]:
    """Split a strategy into the names of its operations; empty or ``none`` has none.

    Raises:
        UnknownNameError: an operation is unknown.
    """
    if strategy.lower() in ("", "none"):
        return ()
    names = tuple(strategy.lower().split("_"))
    for name in names:
        if name not in OPERATIONS:
            raise UnknownNameError("augmentation", name, OPERATIONS)
    return names


def _index(generator: torch.Generator, count: int) -> int:
    """Pick from ``range(count)`` by a hash of the generator's state, which is on the host.

    Drawing a number on the device and reading it would make the host wait for all queued kernels.
    The parameters that are drawn next advance the state, so the next pick differs.
    """
    state = generator.get_state().numpy().tobytes()
    return int.from_bytes(hashlib.sha256(state).digest()[:8], "big") % count
