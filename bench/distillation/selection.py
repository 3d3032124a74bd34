"""The contract of a method that picks real images in one shot."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from bench.distillation.method import Method, P, Scalars, Task

if TYPE_CHECKING:
    from torch import Tensor

    from bench.distilled.image_set import ImageSet


class SelectionMethod(Method[P]):
    """A method that picks real images in one shot; a subclass writes :meth:`select` only.

    Attributes:
        indices: into the real set, int64 ``(num_classes * ipc,)``; ``None`` before the step.
    """

    state: ClassVar[tuple[str, ...]] = ("indices",)
    indices: Tensor | None = None

    @classmethod
    def skip(cls, task: Task[P]) -> str | None:
        """Return a reason if a class holds fewer images than must be picked from it."""
        fewest = min(task.class_counts)
        if task.ipc is not None and task.ipc > fewest:
            return f"the smallest class holds {fewest} images, fewer than IPC {task.ipc}"
        return None

    @abstractmethod
    def select(self) -> Tensor:
        """Return the chosen indices into the real set: int64 ``(num_classes * ipc,)``."""

    def steps(self) -> int:
        """Return 1: a selection is a single step."""
        return 1

    def step(self, i: int) -> Scalars:  # noqa: ARG002
        """Select."""
        self.indices = self.select()
        return {}

    def result(self) -> ImageSet:
        """Return the chosen real images as uint8 pixels."""
        from bench.distilled.image_set import ImageSet

        if self.indices is None:
            raise RuntimeError(f"{self.name}: result() was called before step(0)")
        real = self.ctx.real
        order = self.indices.to(real.device)
        return ImageSet(real.spec, real.images[order], real.labels[order], {})
