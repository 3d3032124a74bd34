"""Differentiable siamese augmentation (Zhao and Bilen, 2021, section 3 and appendix).

*Siamese* means that a real and a distilled batch are transformed alike: draw once, apply twice.

    draw = dsa.draw(len(real), spec.shape, generator, shared=True)
    loss = distance(net(dsa.apply(real, draw)), net(dsa.apply(distilled, draw)))
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.augment.base import Params
from bench.augment.operations import OPERATIONS, Operation
from bench.datasets.spec import DatasetSpec
from bench.support.errors import UnknownNameError

FULL_STRATEGY = "color_crop_cutout_flip_scale_rotate"
MODES = ("single", "all")


@dataclass(frozen=True, eq=False)
class Draw:
    """The parameters of one call.

    Attributes:
        n: images it was drawn for.
        shape: their ``(C, H, W)``.
        shared: one row of parameters serves every image of a batch of any size.
        operations: the strategy's names that apply, in order.
        steps: the Kornia augmentations with their parameters, in order; each replays as
            ``augmentation(images, params=params)``.
    """

    n: int
    shape: tuple[int, int, int]
    shared: bool
    operations: tuple[str, ...]
    steps: tuple[tuple[Operation, Params], ...]


class DSA:
    """Draws augmentation parameters from a generator and applies them, differentiably.

    Images are float ``(N, C, H, W)`` in normalised units, of any floating dtype; the result has
    the same shape and dtype. Ranges are the paper's (see :mod:`bench.augment.operations`).

    Args:
        strategy: names from ``color, crop, cutout, flip, scale, rotate`` joined by ``_``; empty or
            ``none`` leaves images as they are.
        mode: ``single`` applies one operation per call, the same for the whole batch, drawn
            uniformly from the strategy; ``all`` applies every one in the strategy's order.

    Raises:
        UnknownNameError: for an unknown operation or mode.
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
        """Return the strategy, without flip where a mirrored image loses its label."""
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

        In ``single`` mode the operation follows from the generator's state, read on the host, so
        nothing waits for the device; not while a CUDA graph is being captured.

        Args:
            n: images in the batch.
            shape: ``(C, H, W)`` of an image.
            generator: on the images' device.
            shared: one set of parameters for all images, so that the draw fits any batch size.
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

        Kornia's ``apply_transform`` is called as its replay would, but without the module keeping
        the batch and the parameters of the last call.

        Args:
            images: ``(N, C, H, W)``, ``N`` any number for a shared draw, else ``draw.n``.
            draw: from :meth:`draw`.

        Raises:
            ValueError: if the batch does not fit the draw.
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
        """Draw and apply in one call; ``generator`` is on the images' device."""
        n, channels, height, width = images.shape
        draw = self.draw(n, (channels, height, width), generator, shared=shared)
        return self.apply(images, draw)

    def __repr__(self) -> str:
        return f"DSA(strategy={self.strategy!r}, mode={self.mode!r})"


def parse_strategy(strategy: str) -> tuple[str, ...]:
    """Split a strategy into known names, in its order; empty or ``none`` has none.

    Raises:
        UnknownNameError: a :class:`bench.support.errors.BenchError`, for an unknown operation.
    """
    if strategy.lower() in ("", "none"):
        return ()
    names = tuple(strategy.lower().split("_"))
    for name in names:
        if name not in OPERATIONS:
            raise UnknownNameError("augmentation", name, OPERATIONS)
    return names


def _index(generator: torch.Generator, count: int) -> int:
    """Pick from ``range(count)`` by a hash of the generator's state, which lives on the host.

    Drawing a number on the device and reading it would make the host wait for every kernel that
    is queued. The parameters drawn next move the state on, so the next pick is another.
    """
    state = generator.get_state().numpy().tobytes()
    return int.from_bytes(hashlib.sha256(state).digest()[:8], "big") % count
