"""The contract of a distillation method: a sequence of steps with a state.

The harness owns the loop. Because a method only says what one step does and which of its
attributes later steps depend on, it gets progress, checkpoints, bit-identical resume, NaN guards
and cost accounting for free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from typing_extensions import TypeVar

from bench.datasets.spec import DatasetSpec
from bench.distillation.method_state import restored, saved
from bench.distillation.profiles import Profile
from bench.registry.params import NoParams

if TYPE_CHECKING:
    from torch import Tensor

    from bench.distillation.context import Context
    from bench.distilled.base import DistilledSet

# A method's ``Params``; a method that does not name its own has untyped parameters.
P = TypeVar("P", default=Any)
Scalars = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Paper:
    """The publication that a method comes from."""

    title: str
    year: int
    link: str
    authors: str = ""


@dataclass(frozen=True)
class Task(Generic[P]):
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
    params: P


@dataclass(frozen=True)
class Prerequisite:
    """Another method's artefact that must exist first, made with the same data and seed index.

    Attributes:
        method: its registered name.
        params: overrides of its parameters.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Method(ABC, Generic[P]):
    """Base class of every distillation method.

    The harness constructs a method with its task and its context. A subclass builds what it starts
    with in :meth:`setup` and names in ``state`` the attributes that later steps depend on.

    Class attributes:
        name: what users type.
        version: raise it whenever the same parameters would give another result.
        Params: a frozen dataclass of parameters; defaults are the paper's values.
        profiles: ``lite`` and ``smoke``; ``paper`` (no override) always exists.
        paper: where the method comes from.
        state: names of attributes that later steps depend on, see :meth:`state_dict`.
        ipc_agnostic: one artefact serves every IPC; ``task.ipc`` is then ``None``.
        uses_arch: whether the outcome depends on ``--arch``; ``task.arch`` is ``None`` if not.
        modes: the ways its artefact can be evaluated, the default first: ``stored`` for image and
            factored sets, ``stream`` and ``frozen`` for generators.
        own_size: the artefact is one set, whose size does not depend on IPC.
        inner_loop: the parameter that says how often a step repeats the same work, such as the
            steps of a student; optional. A dry run then counts a few of them, and not all.

    Class attributes that reports and `bench list` read, from the source: write them as literals in
    the class.
        artefact: the kind of distilled set that it returns: ``image``, ``factored``, ``generator``
            or ``real-stream``.
        label_kind: ``hard``, or ``soft`` if each of its images has a probability for every class.
        label: the method's name as papers print it; ``name`` if empty.
        colour: of its points in plots, as ``#RRGGBB``; one of a spare set if empty.
        marker: of its points, one of matplotlib's; one of a spare set if empty.
        published_protocol: the protocol of this benchmark that follows the one behind the method's
            published numbers; ``default`` if empty.
        table_order: its place in tables and legends, smaller first; optional.
        published_differences: how this implementation differs from the one behind the method's
            published numbers, in a few words; ``none`` if in nothing that is known to change an
            accuracy. Without it no result is said to differ from a published one.
        family: ``coreset`` if it chooses real images; reports compare other methods with the best
            of these. ``whole`` if its set is the same for every seed, so that only networks vary.

    Attributes:
        task: what is asked for.
        ctx: real images, random numbers, networks, shared work.
        params: ``task.params``.
        spec: ``task.spec``, the real dataset.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type] = NoParams
    profiles: ClassVar[Mapping[str, Profile]] = {}
    paper: ClassVar[Paper | None] = None
    state: ClassVar[tuple[str, ...]] = ()
    ipc_agnostic: ClassVar[bool] = False
    uses_arch: ClassVar[bool] = True
    modes: ClassVar[tuple[str, ...]] = ("stored",)
    own_size: ClassVar[bool] = False
    inner_loop: ClassVar[str] = ""

    artefact: ClassVar[str] = "image"
    label_kind: ClassVar[str] = "hard"
    label: ClassVar[str] = ""
    colour: ClassVar[str] = ""
    marker: ClassVar[str] = ""
    published_protocol: ClassVar[str] = ""
    table_order: ClassVar[int | None] = None
    published_differences: ClassVar[str] = ""
    family: ClassVar[str] = ""

    def __init__(self, task: Task[P], ctx: Context) -> None:
        self.task, self.ctx = task, ctx
        self.params, self.spec = task.params, task.spec
        self.setup()

    @property
    def ipc(self) -> int:
        """Images per class.

        Raises:
            TypeError: the method is IPC-agnostic.
        """
        if self.task.ipc is None:
            raise TypeError(f"{self.name} serves every IPC: it is distilled for none in particular")
        return self.task.ipc

    @property
    def arch(self) -> str:
        """The architecture to distil with, as users write it.

        Raises:
            TypeError: the method declares that it uses none.
        """
        if self.task.arch is None:
            raise TypeError(f"{self.name} has no architecture: it declares uses_arch = False")
        return self.task.arch

    @classmethod
    def skip(cls, task: Task[P]) -> str | None:  # noqa: ARG003
        """Return why the method does not apply to ``task``, or ``None`` if it does."""
        return None

    @classmethod
    def unpublished(cls, task: Task[P]) -> str | None:  # noqa: ARG003
        """Return for what the authors published no setting: ``"svhn"``, ``"IPC 7"``.

        ``None`` where ``task.params`` are theirs. Results of the profile ``paper`` are marked with
        it, and a run warns of it.
        """
        return None

    @classmethod
    def prerequisite(cls, task: Task[P]) -> Prerequisite | None:  # noqa: ARG003
        """Return the artefact this method starts from, if any; it arrives as ``ctx.start``."""
        return None

    @classmethod
    def shown_per_stored(cls, params: Any) -> int:  # noqa: ARG003
        """Return how many training images a stored one gives: more than 1 in a factored set.

        Args:
            params: an instance of ``Params``.
        """
        return 1

    @classmethod
    def least_bytes(cls, task: Task[P]) -> int:  # noqa: ARG003
        """Return how many bytes it certainly holds at one time; 0 if it cannot say.

        Real images and one network are counted without it. A cell that needs more memory than
        there is fails before it starts.
        """
        return 0

    def setup(self) -> None:
        """Build what the method starts with: networks, optimisers, distilled images."""

    def steps(self) -> int:
        """Return how many steps there are: the parameter ``iterations``, unless overridden."""
        return int(cast(Any, self.params).iterations)

    @abstractmethod
    def step(self, i: int) -> Scalars:
        """Do step ``i`` and return scalars to show.

        The scalars are detached 0-d tensors, so that nothing waits for the device; the harness
        reads them now and then and stops the cell if one is not finite.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes that ``state`` names; the context's generators are not in it.

        An attribute is a tensor, a number, a string, a boolean, ``None``, a list or dictionary of
        these, or an object with a ``state_dict`` of its own (network, optimiser, helper). Tensors
        may be live: the harness copies.
        """
        return {name: saved(getattr(self, name)) for name in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned, in a method that was just constructed.

        Tensors are overwritten in place, so that optimisers and networks that hold them follow.

        Raises:
            KeyError: the state lacks one of the names.
            ValueError: a value has another type or shape than the attribute it shall restore.
        """
        for name in self.state:
            setattr(self, name, restored(getattr(self, name), state[name], name))

    @abstractmethod
    def result(self) -> DistilledSet:
        """Return the distilled set after the last step."""

    def byproducts(self) -> dict[str, Tensor]:
        """Return tensors kept beside the artefact for methods that start from this one.

        They are not part of the distilled set and do not count as its stored bytes.
        """
        return {}
