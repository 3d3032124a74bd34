"""From a request to cells: datasets × methods × IPC × architectures × modes × seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bench.datasets.library import DatasetInfo
from bench.distillation.method import Method, Task
from bench.distillation.profiles import (
    PROFILE_PROTOCOL,
    check_profile,
    label_profile,
    resolve_profile,
)
from bench.distillation.tasks import load_method, make_task, prerequisite_task
from bench.evaluation.protocols import PRECISIONS, Protocol, get_protocol
from bench.ledger.cell import DistilCell, EvaluateCell
from bench.networks.architecture import canonical_name
from bench.registry.params import as_dict
from bench.registry.registry import METHODS
from bench.support.errors import BenchError, unknown_message
from bench.support.failure_reasons import explain, shorten

# Ways to judge a generator; an image set has one way only, whatever --mode says.
MODES = ("stream", "frozen")
# A configuration that someone sent must not ask for ever.
_MOST_SEEDS, _MOST_NETS, _MOST_CELLS = 10_000, 10_000, 1_000_000


@dataclass(frozen=True)
class Request:
    """What a user asks for; see ``bench run --help`` for each field."""

    methods: Sequence[str]
    datasets: Sequence[str]
    ipcs: Sequence[int] = (1, 10, 50)
    archs: Sequence[str] = ("convnet3",)
    eval_archs: Sequence[str] = ()
    protocol: str | None = None
    modes: Sequence[str] = ()
    seeds: int = 1
    eval_nets: int | None = None
    profile: str = "paper"
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    precision: str = "fp32"


@dataclass(frozen=True)
class Skip:
    """An evaluation that a method declines, with its reason."""

    cell: EvaluateCell
    reason: str


@dataclass(frozen=True)
class Grid:
    """The cells of a request, each once, in an order in which they can run."""

    distil: tuple[DistilCell, ...]
    evaluate: tuple[EvaluateCell, ...]
    skipped: tuple[Skip, ...]


def build_grid(request: Request, find: Callable[[str], DatasetInfo]) -> Grid:
    """Expand a request; everything that can be wrong with it is found here, before any work.

    Args:
        request: what the user asks for.
        find: gives a dataset's facts by name, fetching it if need be.

    Raises:
        BenchError: for an unknown name, an IPC out of range, a wrong parameter.
    """
    check_request(request)
    methods = {name: load_method(name) for name in request.methods}
    archs = list(dict.fromkeys(canonical_name(a) for a in request.archs))
    eval_archs = list(dict.fromkeys(canonical_name(a) for a in request.eval_archs))
    protocol = get_protocol(request.protocol or PROFILE_PROTOCOL[request.profile])
    builder = _Builder(request, protocol, eval_archs)
    for name in request.methods:
        for ipc in _distil_ipcs(methods[name], request):
            _params(request, methods[name], ipc)
    for dataset in dict.fromkeys(request.datasets):
        info = find(dataset)
        _check_ipcs(request, info)
        for method, arch, seed in product(methods.values(), archs, range(request.seeds)):
            builder.add(method, info, arch, seed)
    return builder.grid()


def check_request(request: Request) -> None:
    """Check what needs no dataset.

    Raises:
        BenchError: naming the value that is wrong and what is allowed.
    """
    _check_not_empty(request)
    for name in request.methods:
        METHODS.entry(name)
    check_profile(request.profile)
    get_protocol(request.protocol or PROFILE_PROTOCOL[request.profile])
    for ipc in request.ipcs:
        _check_at_least_one("IPC", ipc)
    _check_at_least_one("--seeds", request.seeds)
    _check_at_most("--seeds", request.seeds, _MOST_SEEDS)
    if request.eval_nets is not None:
        _check_at_least_one("--eval-nets", request.eval_nets)
        _check_at_most("--eval-nets", request.eval_nets, _MOST_NETS)
    _check_known("mode", request.modes, MODES)
    _check_known("precision", [request.precision], PRECISIONS)
    _check_known("method in --set", request.overrides, request.methods)


def _check_not_empty(request: Request) -> None:
    needed = {"method": request.methods, "dataset": request.datasets, "IPC": request.ipcs,
              "architecture": request.archs}  # fmt: skip
    for what, values in needed.items():
        if not values:
            raise BenchError(f"no {what} was named")


def _check_at_least_one(what: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        raise BenchError(f"{what} {value!r} is not allowed: it must be a whole number from 1 up")


def _check_at_most(what: str, value: int, most: int) -> None:
    if value > most:
        raise BenchError(f"{what} {value:,} is not allowed: at most {most:,} are")


def _check_known(what: str, values: Iterable[str], allowed: Sequence[str]) -> None:
    for value in values:
        if value not in allowed:
            raise BenchError(unknown_message(what, value, allowed))


@dataclass
class _Builder:
    request: Request
    protocol: Protocol
    eval_archs: Sequence[str]
    _distil: dict[str, DistilCell] = field(default_factory=dict)
    _evaluate: dict[str, EvaluateCell] = field(default_factory=dict)
    _skipped: dict[str, Skip] = field(default_factory=dict)

    def add(self, method: type[Method], info: DatasetInfo, arch: str, seed: int) -> None:
        """Add one method's cells on one dataset."""
        for ipc in _distil_ipcs(method, self.request):
            overrides = self.request.overrides.get(method.name, {})
            task = make_task(method, info, ipc, arch, overrides, self.request.profile)
            distil = self._distil_cell(method, task, info, seed)
            reason = _why_skipped(method, task)
            if reason is None:
                self._add_distil(distil)
            for cell in self._evaluations(method, distil, arch, ipc):
                if len(self._evaluate) + len(self._skipped) >= _MOST_CELLS:
                    raise BenchError(f"the request asks for more than {_MOST_CELLS:,} cells")
                if reason is None:
                    self._evaluate.setdefault(cell.id, cell)
                else:
                    self._skipped.setdefault(cell.id, Skip(cell, reason))

    def grid(self) -> Grid:
        """Return what was added."""
        return Grid(
            tuple(self._distil.values()),
            tuple(self._evaluate.values()),
            tuple(self._skipped.values()),
        )

    def _distil_cell(
        self, method: type[Method], task: Task, info: DatasetInfo, seed: int
    ) -> DistilCell:
        needed = prerequisite_task(method, task)
        before = self._distil_cell(*needed, info, seed) if needed is not None else None
        label, changed = label_profile(
            method, task.params, self.request.profile, task.ipc, info.spec.name
        )
        return DistilCell(
            method.name, method.version, as_dict(task.params), info.spec.name, info.sha256,
            task.ipc, task.arch, seed, self.request.precision, label, changed, before,
        )  # fmt: skip

    def _add_distil(self, cell: DistilCell) -> None:
        if cell.prerequisite is not None:
            self._add_distil(cell.prerequisite)
        self._distil.setdefault(cell.id, cell)

    def _evaluations(
        self, method: type[Method], distil: DistilCell, arch: str, ipc: int | None
    ) -> list[EvaluateCell]:
        if method.judged_whole:
            ipcs: Sequence[int | None] = [None]
        else:
            ipcs = [ipc] if ipc is not None else list(dict.fromkeys(self.request.ipcs))
        modes = [m for m in method.modes if m in (self.request.modes or method.modes)]
        protocol, nets = self.protocol, self.request.eval_nets or self.protocol.nets
        return [
            EvaluateCell(
                distil, each, mode, judge, protocol.name, protocol.version, nets,
                self.request.precision,
            )
            for each, mode, judge in product(
                ipcs, modes or method.modes[:1], self.eval_archs or [arch]
            )
        ]  # fmt: skip


def _why_skipped(method: type[Method], task: Task) -> str | None:
    """Return why a method declines a task; that its rule fails is a reason, and ends nothing."""
    try:
        reason = method.skip(task)
        return None if reason is None else shorten(reason)
    except Exception as error:  # a plugin's
        return f"skip() of {method.name} failed: {explain(error)}"


def _params(request: Request, method: type[Method], ipc: int | None, dataset: str = "") -> Any:
    overrides = request.overrides.get(method.name, {})
    return resolve_profile(method, request.profile, overrides, ipc, dataset)


def _distil_ipcs(method: type[Method], request: Request) -> list[int | None]:
    return [None] if method.ipc_agnostic else list(dict.fromkeys(request.ipcs))


def _check_ipcs(request: Request, info: DatasetInfo) -> None:
    smallest = min(info.class_counts)
    for ipc in request.ipcs:
        if ipc > smallest:
            raise BenchError(
                f"IPC {ipc} is more than the smallest class of {info.spec.name} holds "
                f"({smallest} training images)"
            )
