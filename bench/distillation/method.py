"""The contract of a distillation method: a sequence of steps with a state.

The harness owns the loop. Because a method only says what one step does and what its state is,
it gets progress, checkpoints, bit-identical resume, NaN guards and cost accounting for free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bench.datasets.spec import DatasetSpec
from bench.registry.params import NoParams

if TYPE_CHECKING:
    from torch import Tensor

    from bench.distillation.context import Context
    from bench.distilled.base import DistilledSet


@dataclass(frozen=True)
class Reference:
    """Where a method comes from."""

    title: str
    year: int
    link: str
    authors: str = ""


@dataclass(frozen=True)
class Task:
    """What a method is asked to do; cheap to make, holds no pixels.

    Attributes:
        spec: the real dataset.
        class_counts: real training images per class.
        ipc: images per class; ``None`` for an IPC-agnostic method.
        arch: the architecture to distil with; ``None`` if the method uses none.
        params: an instance of the method's ``Params``.
    """

    spec: DatasetSpec
    class_counts: tuple[int, ...]
    ipc: int | None
    arch: str | None
    params: Any


@dataclass(frozen=True)
class Prerequisite:
    """Another method's artefact that must exist first, made with the same data and seed index.

    Attributes:
        method: its registered name.
        params: overrides of its parameters.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Method(ABC):
    """Base class of every distillation method.

    Class attributes:
        name: what users type.
        version: raise it whenever the same parameters would give another result.
        Params: a frozen dataclass of parameters; defaults are the paper's values.
        profiles: named overrides; ``paper`` (no override) always exists.
        gives_up: for each profile but ``paper``, what it gives up, in one sentence.
        reference: the paper.
        ipc_agnostic: one artefact serves every IPC; ``task.ipc`` is then ``None``.
        uses_arch: whether the outcome depends on ``--arch``; ``task.arch`` is ``None`` if not.
        modes: the ways its artefact can be judged, the default first: ``stored`` for image and
            factored sets, ``stream`` and ``frozen`` for generators.
        judged_whole: the artefact is one set of its own size; IPC does not apply to it.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type] = NoParams
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    gives_up: ClassVar[Mapping[str, str]] = {}
    reference: ClassVar[Reference | None] = None
    ipc_agnostic: ClassVar[bool] = False
    uses_arch: ClassVar[bool] = True
    modes: ClassVar[tuple[str, ...]] = ("stored",)
    judged_whole: ClassVar[bool] = False

    @classmethod
    def skip(cls, task: Task) -> str | None:  # noqa: ARG003
        """Return why the method does not apply to ``task``, or ``None`` if it does."""
        return None

    @classmethod
    def prerequisite(cls, task: Task) -> Prerequisite | None:  # noqa: ARG003
        """Return the artefact this method starts from, if any; it arrives as ``ctx.start``."""
        return None

    @classmethod
    def shown_per_stored(cls, params: Any) -> int:  # noqa: ARG003
        """Return how many training images a stored one gives: more than 1 in a factored set.

        Args:
            params: an instance of ``Params``.
        """
        return 1

    @abstractmethod
    def setup(self, task: Task, ctx: Context) -> None:
        """Build the initial state: networks, optimisers, distilled images."""

    @abstractmethod
    def steps(self) -> int:
        """Return how many steps there are (after :meth:`setup`)."""

    @abstractmethod
    def step(self, i: int) -> Mapping[str, Tensor]:
        """Do step ``i`` and return scalars to show.

        The scalars are detached 0-d tensors, so that nothing waits for the device; the harness
        reads them now and then and stops the cell if one is not finite.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps depend on, except the context's generators.

        Nested dicts and lists of tensors, numbers, strings, booleans and ``None``. Tensors may be
        live: the harness copies.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned (after :meth:`setup`)."""

    @abstractmethod
    def result(self) -> DistilledSet:
        """Return the distilled set after the last step."""

    def byproducts(self) -> dict[str, Tensor]:
        """Return tensors kept beside the artefact for methods that start from this one.

        They are not part of the distilled set and do not count as its stored bytes.
        """
        return {}


class SelectionMethod(Method):
    """A method that picks real images in one shot; a subclass writes :meth:`select` only."""

    @classmethod
    def skip(cls, task: Task) -> str | None:
        """Return a reason if a class holds fewer images than must be picked from it."""
        fewest = min(task.class_counts)
        if task.ipc is not None and task.ipc > fewest:
            return f"the smallest class holds {fewest} images, fewer than IPC {task.ipc}"
        return None

    @abstractmethod
    def select(self, task: Task, ctx: Context) -> Tensor:
        """Return the chosen indices into the real set: int64 ``(num_classes * ipc,)``."""

    def setup(self, task: Task, ctx: Context) -> None:
        """Remember the task; the work is the one step."""
        self._task, self._ctx = task, ctx
        self._indices: Tensor | None = None

    def steps(self) -> int:
        """One."""
        return 1

    def step(self, i: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Select."""
        self._indices = self.select(self._task, self._ctx)
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the chosen indices, once chosen."""
        return {"indices": self._indices}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the chosen indices."""
        self._indices = state["indices"]

    def result(self) -> DistilledSet:
        """Return the chosen real images as uint8 pixels."""
        from bench.distilled.image_set import ImageSet

        if self._indices is None:
            raise RuntimeError(f"{self.name}: result() was called before step(0)")
        real = self._ctx.real
        order = self._indices.to(real.device)
        return ImageSet(real.spec, real.images[order], real.labels[order], {})
