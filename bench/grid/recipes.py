"""Recipes: the distillations of a request on one dataset, resolved once for all seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.distillation.method import Method, Task
from bench.distillation.profiles import PROFILES, resolve_profile
from bench.ledger.cell import DistilCell
from bench.registry.params import as_dict
from bench.support.failure_reasons import explain, shorten


@dataclass(frozen=True)
class Parameters:
    """A method's resolved parameters, and the profile that they really are."""

    values: Any
    profile: str
    changed: str


@dataclass(frozen=True)
class Recipe:
    """A distillation on one dataset, for every seed: a cell that lacks its seed."""

    method: type[Method]
    task: Task
    parameters: Parameters
    prerequisite: Recipe | None
    sources: Mapping[str, str]

    def cell(self, content: str, sha256: str, seed: int, precision: str) -> DistilCell:
        """Return the cell of one seed index on data of that content, which ``sha256`` names."""
        before = self.prerequisite
        return DistilCell(
            self.method.name, self.method.version, self.values,
            self.task.spec.name, sha256, self.task.ipc, self.task.arch, seed, precision,
            self.parameters.profile, self.parameters.changed,
            None if before is None else before.cell(content, sha256, seed, precision),
            content, self.sources,
        )  # fmt: skip

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The parameters as plain JSON values, one object for the cells of all seeds."""
        return as_dict(self.task.params)

    def why_unpublished(self) -> str:
        """Return the mark of the profile ``paper`` where it is not the authors'; or nothing."""
        try:
            missing = self.method.unpublished(self.task)
        except Exception as error:  # a plugin's rule may raise anything
            return shorten(f"unpublished() of {self.method.name} failed: {explain(error)}")
        return shorten(f"no published setting for {missing}") if missing else ""

    def why_skipped(self) -> str | None:
        """Return why the method declines the task; a rule that fails is a reason too."""
        try:
            reason = self.method.skip(self.task)
            return None if reason is None else shorten(reason)
        except Exception as error:  # a plugin's rule may raise anything
            return f"skip() of {self.method.name} failed: {explain(error)}"


class Resolver:
    """Resolves each method's parameters once per profile, overrides, IPC and dataset."""

    def __init__(self) -> None:
        self._resolved: dict[tuple[object, ...], Any] = {}

    def resolve(
        self,
        method: type[Method],
        profile: str,
        overrides: Mapping[str, Any],
        ipc: int | None,
        dataset: str,
    ) -> Any:
        """Return the parameters, an instance of the method's ``Params``."""
        key = (method, profile, repr(sorted(overrides.items())), ipc, dataset)
        if key not in self._resolved:
            self._resolved[key] = resolve_profile(method, profile, overrides, ipc, dataset)
        return self._resolved[key]

    def named(self, method: type[Method], ipc: int | None, dataset: str) -> dict[str, Any]:
        """Return the parameters of every profile."""
        return {p: self.resolve(method, p, {}, ipc, dataset) for p in PROFILES}
