"""The base class of methods that learn pixels by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from bench.augment.dsa import DSA, Draw
from bench.distillation import passes
from bench.distillation.context import Context
from bench.distillation.method import Method, Task
from bench.distilled.base import DistilledSet
from bench.distilled.image_set import ImageSet
from bench.registry.params import param


class ImageParams(Protocol):
    """The parameters that :class:`LearnedImages` reads."""

    @property
    def lr_img(self) -> float:
        """Learning rate of the pixels."""

    @property
    def momentum(self) -> float:
        """Momentum of the pixels, in [0, 1]."""

    @property
    def init(self) -> str:
        """Where the images start, see :func:`init_param`."""


I = TypeVar("I", bound=ImageParams, default=Any)  # noqa: E741
# Given a run of classes and their images ``(classes, ipc, C, H, W)``, returns a sum over these
# classes (0-d), or its terms ``(classes,)``.
Loss = Callable[[slice, Tensor], Tensor]


def init_param(default: str) -> Any:
    """Declare the parameter ``init``: ``real`` starts from real images, ``noise`` from noise."""
    return param(default, help="first distilled images", choices=("real", "noise"))


class LearnedImages(Method[I]):
    """Learns normalised pixels by SGD with momentum; a subclass writes :meth:`step`.

    A step calls :meth:`descend` with a loss that is a sum over classes. The harness decides how
    many classes are computed at once, on which threads, in which precision and by which kernels.

    Attributes:
        images: float32 ``(num_classes, ipc, C, H, W)``, normalised.
        velocity: of the images, in their shape.
        labels: int64 ``(num_classes * ipc,)``, those of ``images.flatten(0, 1)``.
        slice_size: images per pass; ``None`` keeps batches whole.
    """

    state: ClassVar[tuple[str, ...]] = ("images", "velocity")

    def __init__(self, task: Task[I], ctx: Context) -> None:
        self.slice_size = passes.slice_size(task.arch or "", ctx)
        self.classes = torch.arange(task.spec.num_classes, device=ctx.device)
        super().__init__(task, ctx)

    @classmethod
    def skip(cls, task: Task[I]) -> str | None:
        """Return a reason if the images start from real ones and a class holds too few."""
        fewest = min(task.class_counts)
        if task.params.init == "real" and task.ipc is not None and task.ipc > fewest:
            return (
                f"the smallest class holds {fewest} images, fewer than IPC {task.ipc} "
                "(init=noise needs none)"
            )
        return None

    @classmethod
    def least_bytes(cls, task: Task[I]) -> int:
        """Return the bytes of the images, their velocity and their gradient."""
        return 3 * 4 * (task.ipc or 0) * task.spec.num_classes * task.spec.pixels

    def setup(self) -> None:
        """Draw the first images."""
        self.images = self.first_images(self.ctx)
        self.velocity = torch.zeros_like(self.images)
        self.labels = self.classes.repeat_interleave(self.ipc)

    @cached_property
    def dsa(self) -> DSA:
        """The augmentation that the parameter ``dsa`` names, for the dataset; none without one."""
        return DSA.for_dataset(self.spec, getattr(self.params, "dsa", "none"))

    def first_images(self, ctx: Context) -> Tensor:
        """Draw distinct real images of each class, or standard normal noise, as ``init`` says.

        Randomness comes from the context's generator ``init``.

        Args:
            ctx: the real set to draw from, and generators.

        Returns:
            float32 ``(num_classes, ipc, C, H, W)``, normalised.
        """
        real, generator, classes = ctx.real, ctx.generator("init"), range(self.spec.num_classes)
        if self.params.init == "noise":
            shape = (len(classes), self.ipc, *self.spec.shape)
            return torch.randn(shape, generator=generator, device=real.device)
        picks = [real.sample_class(c, self.ipc, generator) for c in classes]
        return torch.stack([real.gather(pick) for pick in picks])

    def sample_per_class(self, count: int) -> list[Tensor]:
        """Draw ``count`` real images of each class, or all it has: indices into the real set.

        Randomness comes from the context's generator ``real``.
        """
        generator = self.ctx.generator("real")
        return [self.ctx.real.sample_class(c, count, generator) for c in range(len(self.classes))]

    def draw_per_class(self, dsa: DSA) -> list[Draw]:
        """Draw one augmentation for each class, which all images of that class share.

        Randomness comes from the context's generator ``augmentation``.
        """
        generator = self.ctx.generator("augmentation")
        return [dsa.draw(1, self.spec.shape, generator, shared=True) for _ in self.classes]

    def descend(
        self,
        loss: Loss,
        *,
        lr: float | None = None,
        batch: int | None = None,
        independent: bool = False,
    ) -> Tensor:
        """Take one step of SGD with momentum on the pixels.

        Args:
            loss: see :data:`Loss`; it must not draw random numbers, as runs of classes are
                computed side by side.
            lr: learning rate; ``lr_img`` if ``None``.
            batch: images of a class that pass through the network together; IPC if ``None``.
            independent: the network treats every image alone even if its architecture does not,
                as batch normalisation is fixed.

        Returns:
            The loss, summed over all classes, 0-d and detached.
        """

        def part(run: slice) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                images = self.images[run].detach().requires_grad_()
                terms = loss(run, images)
                total = terms.sum()
            return terms.detach().reshape(-1), passes.image_gradient(total, images)

        runs = self._runs(batch or self.ipc, independent=independent)
        terms, gradients = zip(*passes.parallel(part, runs, self.ctx), strict=True)
        self.move(torch.cat(gradients), lr=lr)
        return torch.cat(terms).sum()

    def move(self, gradient: Tensor, *, lr: float | None = None) -> None:
        """Take one step of SGD with momentum along a gradient in the images' shape."""
        self.velocity.mul_(self.params.momentum).add_(gradient)
        self.images.sub_(self.velocity, alpha=self.params.lr_img if lr is None else lr)

    def class_means(
        self, network: nn.Module, batches: Sequence[Tensor], dsa: DSA, draws: Sequence[Draw]
    ) -> Tensor:
        """Augment each class's images and average their embeddings: float32 ``(classes, D)``.

        Args:
            network: built by an architecture.
            batches: one per class, ``(N, C, H, W)``, normalised.
            dsa: applies the draws.
            draws: one per class.
        """
        pairs = zip(batches, draws, strict=True)
        images = torch.cat([dsa.apply(batch, draw) for batch, draw in pairs])
        parts = torch.split(images, self.slice_size or len(images))
        features = torch.cat([passes.embed(network, part, self.ctx) for part in parts])
        by_class = torch.split(features, [len(batch) for batch in batches])
        return torch.stack([own.mean(0) for own in by_class])

    @torch.no_grad()
    def real_class_means(
        self, network: nn.Module, picks: Sequence[Tensor], dsa: DSA, draws: Sequence[Draw]
    ) -> Tensor:
        """Return :meth:`class_means` of real images, given by index, without a gradient."""

        @torch.no_grad()
        def part(run: slice) -> Tensor:
            batches = [self.ctx.real.gather(pick) for pick in picks[run]]
            return self.class_means(network, batches, dsa, draws[run])

        runs = self._runs(max(map(len, picks)))
        return torch.cat(passes.parallel(part, runs, self.ctx))

    def result(self) -> DistilledSet:
        """Return the images as they are, in normalised units."""
        return ImageSet(self.spec, self.images.flatten(0, 1).clone(), self.labels, {})

    def _runs(self, batch: int, *, independent: bool = False) -> list[slice]:
        """Cut the classes into runs whose batches fill a slice."""
        size = self.slice_size or (1 if independent else None)
        return passes.class_groups(len(self.classes), batch, size)
