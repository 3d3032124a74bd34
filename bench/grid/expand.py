"""From a request to cells: datasets × methods × IPC × architectures × modes × seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any

from bench.datasets.data_folder import DatasetInfo
from bench.distillation.method import Method, Task
from bench.distillation.profiles import label_profile
from bench.distillation.selection import SelectionMethod
from bench.distillation.tasks import load_method, prerequisite_task
from bench.grid.modes import check_modes
from bench.grid.plugin_sources import distil_sources, evaluation_sources
from bench.grid.recipes import Parameters, Recipe, Resolver
from bench.grid.request import Request
from bench.ledger.cell import DistilCell, EvaluateCell
from bench.networks.architecture import canonical_name
from bench.registry.params import as_dict
from bench.support.errors import BenchError
from bench.support.untrusted import Limit


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


# Makes a cell on a dataset under the name that its content has; see DataNames.
NameData = Callable[[DatasetInfo, Callable[[str], DistilCell]], DistilCell]


def _by_content(info: DatasetInfo, make: Callable[[str], DistilCell]) -> DistilCell:
    return make(info.content or info.sha256)


def build_grid(
    request: Request, find: Callable[[str], DatasetInfo], name_data: NameData = _by_content
) -> Grid:
    """Expand a request; everything that can be wrong with it is found here, before any work.

    Args:
        request: what the user asks for.
        find: gives a dataset's facts by name, fetching it if need be.
        name_data: see :meth:`bench.grid.data_names.DataNames.make`.

    Raises:
        BenchError: for an unknown name, an IPC out of range, a wrong parameter, a mode that no
            method has.
    """
    request.check()
    check_modes(request)
    builder = _Builder(request, name_data)
    # A download may take an hour; a wrong parameter is reported before it starts.
    builder.check_parameters()
    for dataset in dict.fromkeys(request.datasets):
        builder.add(find(dataset))
    return builder.grid()


class _Builder:
    """Collects the cells of a request, each once."""

    def __init__(self, request: Request, name_data: NameData) -> None:
        self._request, self._protocol = request, request.chosen_protocol()
        self._name_data = name_data
        self._methods = [load_method(name) for name in dict.fromkeys(request.methods)]
        self._archs = _canonical(request.archs)
        self._eval_archs = _canonical(request.eval_archs)
        self._resolver = Resolver()
        self._sources: dict[str, Mapping[str, str]] = {}
        self._distil: dict[str, DistilCell] = {}
        self._evaluate: dict[str, EvaluateCell] = {}
        self._skipped: dict[str, Skip] = {}

    def check_parameters(self) -> None:
        """Resolve every method's parameters, for every dataset by its name.

        Raises:
            BenchError: naming the parameter that is wrong.
        """
        for method, dataset in product(self._methods, dict.fromkeys(self._request.datasets)):
            for ipc in self._distil_ipcs(method):
                self._own_parameters(method, ipc, dataset)

    def add(self, info: DatasetInfo) -> None:
        """Add every method's cells on one dataset."""
        seeds = range(self._request.seeds)
        for method in self._methods:
            ipcs = self._distil_ipcs(method)
            recipes = self._recipes(method, info, ipcs)
            for arch, seed, ipc in product(self._archs, seeds, ipcs):
                self._add_cells(recipes[arch, ipc], info, arch, ipc, seed)

    def grid(self) -> Grid:
        """Return what was added."""
        return Grid(
            tuple(self._distil.values()),
            tuple(self._evaluate.values()),
            tuple(self._skipped.values()),
        )

    def _distil_ipcs(self, method: type[Method]) -> list[int | None]:
        return [None] if method.ipc_agnostic else list(dict.fromkeys(self._request.ipcs))

    def _own_parameters(self, method: type[Method], ipc: int | None, dataset: str) -> Any:
        """Return the parameters of a method that the request names."""
        overrides = self._request.overrides.get(method.name, {})
        return self._resolver.resolve(method, self._request.profile, overrides, ipc, dataset)

    def _recipes(
        self, method: type[Method], info: DatasetInfo, ipcs: Sequence[int | None]
    ) -> dict[tuple[str, int | None], Recipe]:
        """Return a method's recipes by architecture and IPC; one for all that it does not use."""
        recipes: dict[tuple[str | None, int | None], Recipe] = {}
        for arch, ipc in product(self._archs if method.uses_arch else [None], ipcs):
            params = self._own_parameters(method, ipc, info.spec.name)
            task = Task(info.spec, info.class_counts, ipc, arch, params)
            recipes[arch, ipc] = self._complete(method, task)
        return {
            (arch, ipc): recipes[arch if method.uses_arch else None, ipc]
            for arch, ipc in product(self._archs, ipcs)
        }

    def _complete(self, method: type[Method], task: Task) -> Recipe:
        """Return the recipe of a task, with those of what it starts from."""
        needed = prerequisite_task(method, task, self._resolver.resolve)
        before = None if needed is None else self._complete(*needed)
        named = self._resolver.named(method, task.ipc, task.spec.name)
        profile, changed = label_profile(named, task.params, self._request.profile)
        sources = distil_sources(method.name, task.arch, as_dict(task.params))
        if before is not None:
            of = before.method.name
            sources |= {f"{of}: {name}": source for name, source in before.sources.items()}
        parameters = Parameters(task.params, profile, changed)
        recipe = Recipe(method, task, parameters, before, sources)
        if profile != "paper" or not (mark := recipe.why_unpublished()):
            return recipe
        return replace(recipe, parameters=replace(parameters, changed=mark))

    def _add_cells(
        self, recipe: Recipe, info: DatasetInfo, arch: str, ipc: int | None, seed: int
    ) -> None:
        """Add a distillation and its evaluations, or the reason why the method declines."""
        content, precision = info.content or info.sha256, self._request.precision
        distil = self._name_data(info, lambda name: recipe.cell(content, name, seed, precision))
        reason = recipe.why_skipped()
        sets = self._with_earlier(recipe.method, distil)
        if reason is None:
            self._add_distil(sets[-1])
        every = (self._evaluations(recipe.method, each, arch, ipc) for each in sets)
        for cell in chain.from_iterable(every):
            if len(self._evaluate) + len(self._skipped) >= Limit.CELLS:
                raise BenchError(f"the request asks for more than {Limit.CELLS:,} cells")
            if reason is None:
                self._evaluate.setdefault(cell.id, cell)
            else:
                self._skipped.setdefault(cell.id, Skip(cell, reason))

    def _with_earlier(self, method: type[Method], distil: DistilCell) -> list[DistilCell]:
        """Return a distillation after the percentages of the request, and as a whole at the end.

        What selects or streams real images does so in one step, and has nothing before.
        """
        one_step = issubclass(method, SelectionMethod) or method.artefact == "real-stream"
        percents = [] if one_step else sorted(set(self._request.evaluate_at))
        sets: list[DistilCell] = []
        for percent in (*percents, None):
            earlier = sets[-1] if sets else None
            sets.append(replace(distil, percent=percent, earlier=earlier))
        return sets

    def _add_distil(self, cell: DistilCell) -> None:
        if cell.dependency is not None:
            self._add_distil(cell.dependency)
        self._distil.setdefault(cell.id, cell)

    def _evaluation_sources(self, arch: str) -> Mapping[str, str]:
        if arch not in self._sources:
            self._sources[arch] = evaluation_sources(arch, self._protocol.name)
        return self._sources[arch]

    def _all_sources(self, distil: DistilCell, arch: str) -> Mapping[str, str]:
        """Return the sources of an evaluation and of its distilled set."""
        own = self._evaluation_sources(arch)
        return {**distil.sources, **own} if distil.sources else own

    def _evaluations(
        self, method: type[Method], distil: DistilCell, arch: str, ipc: int | None
    ) -> list[EvaluateCell]:
        request, protocol = self._request, self._protocol
        ipcs: Sequence[int | None] = [ipc]
        if method.own_size:
            ipcs = [None]
        elif ipc is None:
            ipcs = list(dict.fromkeys(request.ipcs))
        modes = [m for m in method.modes if m in (request.modes or method.modes)]
        nets = request.eval_nets or protocol.nets
        return [
            EvaluateCell(
                distil, each, mode, eval_arch, protocol.name, protocol.version, nets,
                request.precision, self._all_sources(distil, eval_arch), kind,
            )
            for each, mode, eval_arch, kind in product(
                ipcs, modes or method.modes[:1], self._eval_archs or [arch],
                dict.fromkeys(request.stored_as),
            )
        ]  # fmt: skip


def _canonical(archs: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(canonical_name(arch) for arch in archs))
