"""The stored pixels of IDC: where they start and how the gradients of all classes move them.

J.-H. Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022;
the released code is snu-mllab/Efficient-Dataset-Condensation, condense.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.plugin import Context
from bench.plugin.sets import part_size


def first_grids(init: str, ipc: int, factor: int, ctx: Context) -> Tensor:
    """Draw the first stored images from the context's generator ``init``.

    Args:
        init: ``real`` puts another real image into each part, shrunk by leaving out pixels; a class
            with too few images repeats them. ``noise`` draws normal pixels around grey.
        ipc: stored images per class.
        factor: parts along each side.
        ctx: real set and generators.

    Returns:
        float32 ``(num_classes, ipc, C, H, W)`` in [0, 1].
    """
    real, generator, spec = ctx.real, ctx.generator("init"), ctx.real.spec
    if init == "noise":
        shape = (spec.num_classes, ipc, *spec.shape)
        noise = torch.randn(shape, generator=generator, device=ctx.device)
        return (noise / 4 + 0.5).clamp(0, 1)
    places = torch.arange(ipc * factor**2, device=ctx.device)
    grids = []
    for label in range(spec.num_classes):
        pick = real.sample_class(label, len(places), generator)
        grids.append(_grids(real.images[pick[places % len(pick)]] / 255, factor))
    return torch.stack(grids)


def _grids(images: Tensor, factor: int) -> Tensor:
    """Shrink images to parts, nearest pixel, and join each ``factor ** 2`` of them."""
    channels, height, width = images.shape[1:]
    tall, wide = part_size(height, width, factor)
    parts = F.interpolate(images, size=(tall, wide)).view(-1, factor, factor, channels, tall, wide)
    grids = parts.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, factor * tall, factor * wide)
    return grids[..., :height, :width]


class TurnwiseSGD:
    r"""SGD with momentum on pixels whose classes take turns, as in the released code.

    There the optimiser takes a step after each class's gradient. The others' gradient is then zero,
    but their momentum moves them on. With :math:`C` classes a gradient has all but
    :math:`m^C` of its effect before the next one of its class, and class :math:`c` has gone
    :math:`c` such steps further when its turn comes. As classes do not meet, the same follows
    from the gradients of all of them at once.

    Args:
        pixels: float32 ``(classes, ...)``.
        lr: learning rate.
        momentum: m.

    Attributes:
        pixels: where the round stands between two steps.
        velocity: of the pixels, alike.
    """

    def __init__(self, pixels: Tensor, lr: float, momentum: float) -> None:
        self.pixels, self.velocity = pixels, torch.zeros_like(pixels)
        self._lr, self._momentum = lr, momentum
        # In double precision, and then rounded once.
        turns = torch.arange(len(pixels), dtype=torch.float64)
        decay = torch.full_like(turns, momentum) ** turns
        shape = (-1, *[1] * (pixels.ndim - 1))
        self._decay, self._drift = (
            x.to(pixels).view(shape) for x in (decay, lr * (decay.cumsum(0) - 1))
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the pixels and their velocity."""
        return {"pixels": self.pixels, "velocity": self.velocity}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        self.pixels.copy_(state["pixels"])
        self.velocity.copy_(state["velocity"])

    def in_turn(self) -> Tensor:
        """Return where each class will be when its gradient is taken in the coming round."""
        return self.pixels - self._drift * self.velocity

    def step(self, gradients: Tensor) -> None:
        """Do a round.

        Args:
            gradients: of each class at :meth:`in_turn`, shaped as the pixels.
        """
        here, waiting = self.in_turn(), self._decay.flip(0)
        velocity = self._momentum * self._decay * self.velocity + gradients
        self.pixels.copy_(here - (self._lr + self._drift.flip(0)) * velocity)
        self.velocity.copy_(waiting * velocity)
