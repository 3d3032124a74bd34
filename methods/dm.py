"""DM: distilled images whose mean embedding matches that of the real ones, class by class.

B. Zhao and H. Bilen, "Dataset Condensation with Distribution Matching", WACV 2023, Algorithm 1;
where the paper is silent, the released code (VICO-UoE/DatasetCondensation, main_DM.py) decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.plugin import (
    DSA,
    DistilledSet,
    Draw,
    ImageSet,
    Method,
    Paper,
    Profile,
    Task,
    by_ipc,
    by_task,
    param,
)
from methods.compute import class_groups, embed, parallel, slice_size
from methods.dsa_param import dsa_param
from methods.first_images import first_images, init_param, too_few

# About four minutes for ten classes of 32x32 on two CPU cores, whatever the IPC. The gradient of an
# image shrinks with IPC, as its class's mean holds 1/IPC of it; in so few steps a rate of 1 would
# hardly move a larger set. Fewer real images blur the means that larger sets must match.
_LITE = {
    "iterations": by_ipc(lambda ipc: max(50, 14_000 // (30 + ipc)), "14000 / (30 + IPC)"),
    "batch_real": 64,
    "lr_img": by_ipc(lambda ipc: max(1.0, ipc / 2), "IPC / 2, at least 1"),
}


def paper_rate(dataset: str, ipc: int) -> float:
    """Return the learning rate of the released code's readme."""
    return 10.0 if ipc >= 100 and dataset != "cifar100" else 1.0


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
        lr_img: float = param(
            by_task(paper_rate, "1; from IPC 100 on 10, but not for CIFAR-100"),
            help="learning rate of the pixels",
            min=0,
        )
        momentum: float = param(0.5, help="momentum of the pixels", min=0, max=1)
        batch_real: int = param(256, help="real images per class and step", min=1)
        init: str = init_param("real")
        dsa: str = dsa_param()

    name = "dm"
    label = "DM"
    colour = "#0072B2"
    marker = "D"
    paper = Paper(
        "Dataset Condensation with Distribution Matching",
        2023,
        "arXiv:2110.04181",
        "B. Zhao, H. Bilen",
    )
    profiles = {
        "lite": Profile(
            _LITE,
            "451, 350 or 175 steps at IPC 1, 10 or 50 in place of 20,000, longer ones above "
            "IPC 2, and 64 real images per class in place of 256",
        ),
        "smoke": Profile(
            {"iterations": 3, "batch_real": 8},
            "3 steps in place of 20,000: shows only that the path works",
        ),
    }

    @classmethod
    def skip(cls, task: Task) -> str | None:
        """Return a reason if real images to start from are too few."""
        return too_few(task)

    def setup(self) -> None:
        """Draw the first images: float32 ``(num_classes, ipc, C, H, W)``, normalised."""
        task, ctx = self.task, self.ctx
        assert task.arch is not None
        assert task.ipc is not None
        self._spec, self._params, self._ctx, self._arch = task.spec, task.params, ctx, task.arch
        self._classes = range(task.spec.num_classes)
        self._dsa = DSA.for_dataset(task.spec, task.params.dsa)
        self._slice = slice_size(task.arch, ctx)
        self._images = first_images(task.params.init, task.ipc, ctx)
        self._velocity = torch.zeros_like(self._images)

    def steps(self) -> int:
        """The parameter ``iterations``."""
        iterations: int = self._params.iterations
        return iterations

    def step(self, i: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Follow the gradient of one random network; ``loss`` is the mean over classes."""
        ctx, batch, ipc = self._ctx, self._params.batch_real, self._images.shape[1]
        classes, augmenting, choosing = self._classes, *map(ctx.generator, ("augmentation", "real"))
        network = ctx.network(self._arch).train().requires_grad_(False)
        draws = [self._dsa.draw(1, self._spec.shape, augmenting, shared=True) for _ in classes]
        picks = [ctx.real.sample_class(c, batch, choosing) for c in classes]

        def real_means(group: slice) -> Tensor:
            return self._real_means(network, picks[group], draws[group])

        def match(group: slice) -> tuple[Tensor, Tensor]:
            return self._match(network, self._images[group], targets[group], draws[group])

        targets = torch.cat(parallel(real_means, self._groups(batch), ctx))
        losses, gradients = zip(*parallel(match, self._groups(ipc), ctx), strict=True)
        self._velocity.mul_(self._params.momentum).add_(torch.cat(gradients))
        self._images.sub_(self._velocity, alpha=self._params.lr_img)
        return {"loss": torch.stack(losses).sum() / len(classes)}

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
        labels = torch.arange(len(self._classes), device=images.device)
        return ImageSet(self._spec, images, labels.repeat_interleave(self._images.shape[1]), {})

    def _groups(self, per_class: int) -> list[slice]:
        """The loss is a sum over classes: runs change nothing but memory and who computes what."""
        return class_groups(len(self._classes), per_class, self._slice)

    @torch.no_grad()
    def _real_means(
        self, network: nn.Module, picks: Sequence[Tensor], draws: Sequence[Draw]
    ) -> Tensor:
        batches = [self._ctx.real.gather(pick) for pick in picks]
        return self._means(network, batches, draws)

    def _match(
        self, network: nn.Module, images: Tensor, targets: Tensor, draws: Sequence[Draw]
    ) -> tuple[Tensor, Tensor]:
        """Return the squared distances, summed, and their gradient on ``(classes, ipc, ...)``."""
        images = images.detach().requires_grad_()
        means = self._means(network, images.unbind(), draws)
        gap = (means - targets).square().sum()
        (gradient,) = torch.autograd.grad(gap, images)
        return gap.detach(), gradient

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
