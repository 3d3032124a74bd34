"""DM: distilled images whose mean embedding matches that of the real ones, class by class.

B. Zhao and H. Bilen, "Dataset Condensation with Distribution Matching", WACV 2023, Algorithm 1;
where the paper is silent, the released code (VICO-UoE/DatasetCondensation, main_DM.py) decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.plugin import (
    DSA,
    Context,
    DistilledSet,
    Draw,
    ImageSet,
    Method,
    Reference,
    Task,
    param,
)
from methods.compute import embed, slice_size

# Distilled images whose activations are kept for the backward pass at once, in slices.
_SLICES_KEPT = 4


class DM(Method):
    r"""Matches the class means of real and distilled images in random networks.

    Each step draws a fresh network :math:`\psi`, for each class a batch of real images and one
    augmentation :math:`A` that real and distilled images share, and follows the gradient of

    .. math:: \sum_c \Big\| \frac1{|T_c|} \sum_{x \in T_c} \psi(A_c(x))
              - \frac1{|S_c|} \sum_{s \in S_c} \psi(A_c(s)) \Big\|^2

    with SGD on the normalised pixels. The networks are never trained. As in the released code,
    networks with batch normalisation embed all classes in one batch.
    """

    @dataclass(frozen=True)
    class Params:
        """The released code's values."""

        iterations: int = param(20_000, help="steps, each with a fresh random network", min=1)
        lr_img: float = param(1.0, help="learning rate of the pixels", min=0)
        momentum: float = param(0.5, help="momentum of the pixels", min=0, max=1)
        batch_real: int = param(256, help="real images per class and step", min=1)
        init: str = param("real", help="first distilled images", choices=("real", "noise"))
        dsa: str = param(
            "color_crop_cutout_flip_scale_rotate",
            help="augmentations joined by '_' (flip is left out for digits), or none",
        )

    name: ClassVar[str] = "dm"
    reference: ClassVar[Reference | None] = Reference(
        "Dataset Condensation with Distribution Matching",
        2023,
        "arXiv:2110.04181",
        "B. Zhao, H. Bilen",
    )
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"iterations": 3, "batch_real": 8},
    }
    gives_up: ClassVar[Mapping[str, str]] = {
        "smoke": "3 steps in place of 20,000: shows only that the path works",
    }

    @classmethod
    def skip(cls, task: Task) -> str | None:
        """Return a reason if real images to start from are too few."""
        fewest = min(task.class_counts)
        if task.params.init == "real" and task.ipc is not None and task.ipc > fewest:
            return (
                f"the smallest class holds {fewest} images, fewer than IPC {task.ipc} "
                "(init=noise needs none)"
            )
        return None

    def setup(self, task: Task, ctx: Context) -> None:
        """Draw the first images: float32 ``(num_classes, ipc, C, H, W)``, normalised."""
        assert task.arch is not None
        assert task.ipc is not None
        self._spec, self._params, self._ctx, self._arch = task.spec, task.params, ctx, task.arch
        self._dsa = DSA.for_dataset(task.spec, task.params.dsa)
        self._slice = slice_size(task.arch, ctx)
        kept = _SLICES_KEPT * self._slice // task.ipc if self._slice else task.spec.num_classes
        self._group = max(1, kept)
        self._images = self._first_images(task.ipc)
        self._velocity = torch.zeros_like(self._images)

    def steps(self) -> int:
        """The parameter ``iterations``."""
        iterations: int = self._params.iterations
        return iterations

    def step(self, i: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Follow the gradient of one random network; ``loss`` is the mean over classes."""
        classes, generator = range(self._spec.num_classes), self._ctx.generator("augmentation")
        network = self._ctx.network(self._arch).train().requires_grad_(False)
        draws = [self._dsa.draw(1, self._spec.shape, generator, shared=True) for _ in classes]
        with torch.no_grad():
            targets = self._means(network, self._real_batches(), draws)
        loss, gradient = self._match(network, targets, draws)
        self._velocity.mul_(self._params.momentum).add_(gradient)
        self._images.sub_(self._velocity, alpha=self._params.lr_img)
        return {"loss": loss / len(classes)}

    def state_dict(self) -> dict[str, Any]:
        """Return the images and their velocity."""
        return {"images": self._images, "velocity": self._velocity}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the images and their velocity."""
        self._images.copy_(state["images"])
        self._velocity.copy_(state["velocity"])

    def result(self) -> DistilledSet:
        """Return the images as they are, in normalised units."""
        images = self._images.flatten(0, 1).clone()
        labels = torch.arange(self._spec.num_classes, device=images.device)
        return ImageSet(self._spec, images, labels.repeat_interleave(self._images.shape[1]), {})

    def _first_images(self, ipc: int) -> Tensor:
        real, generator = self._ctx.real, self._ctx.generator("init")
        if self._params.init == "noise":
            shape = (self._spec.num_classes, ipc, *self._spec.shape)
            return torch.randn(shape, generator=generator, device=real.device)
        classes = range(self._spec.num_classes)
        return torch.stack([real.gather(real.sample_class(c, ipc, generator)) for c in classes])

    def _real_batches(self) -> list[Tensor]:
        """Draw each class's real images; a class with fewer gives all it has."""
        real, generator = self._ctx.real, self._ctx.generator("real")
        n, classes = self._params.batch_real, range(self._spec.num_classes)
        picks = [real.sample_class(c, n, generator) for c in classes]
        return list(torch.split(real.gather(torch.cat(picks)), [len(pick) for pick in picks]))

    def _means(
        self, network: nn.Module, batches: Sequence[Tensor], draws: Sequence[Draw]
    ) -> Tensor:
        """Augment each class's batch and average its embedding: ``(len(batches), D)``."""
        pairs = zip(batches, draws, strict=True)
        images = torch.cat([self._dsa.apply(batch, draw) for batch, draw in pairs])
        parts = torch.split(images, self._slice or len(images))
        features = torch.cat([embed(network, part, self._ctx) for part in parts])
        by_class = torch.split(features, [len(batch) for batch in batches])
        return torch.stack([own.mean(0) for own in by_class])

    def _match(
        self, network: nn.Module, targets: Tensor, draws: Sequence[Draw]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and its gradient on the images, a group of classes at a time.

        The loss is a sum over classes, so groups change only how many activations are kept.
        """
        loss, gradient = targets.new_zeros(()), torch.empty_like(self._images)
        for first in range(0, len(targets), self._group):
            group = slice(first, first + self._group)
            images = self._images[group].detach().requires_grad_()
            means = self._means(network, images.unbind(), draws[group])
            gap = (means - targets[group]).square().sum()
            (gradient[group],) = torch.autograd.grad(gap, images)
            loss += gap.detach()
        return loss, gradient
