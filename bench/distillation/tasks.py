"""Tasks: what a method is asked to do, from a dataset, an IPC, an architecture and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.datasets.spec import DatasetSpec
from bench.distillation.method import Method, Prerequisite, Task
from bench.distillation.profiles import check_profile, resolve_profile
from bench.registry.registry import METHODS
from bench.support.arguments import check_argument, check_count
from bench.support.errors import BenchError
from bench.support.failure_reasons import explain
from bench.support.untrusted import Limit

# Resolves a method's parameters from profile, overrides, IPC and dataset, as resolve_profile does.
Resolve = Callable[[type[Method], str, Mapping[str, Any], int | None, str], Any]


class Described(Protocol):
    """What a task needs to know of a dataset; a real set and its packed file's facts have it."""

    @property
    def spec(self) -> DatasetSpec:
        """What the dataset is."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Real training images per class."""


def load_method(method: str | type[Method]) -> type[Method]:
    """Return a method's class.

    Raises:
        BenchError: no such method is registered, or its version is no whole number from 1 up.
    """
    if not isinstance(method, str) and not (
        isinstance(method, type) and issubclass(method, Method)
    ):
        raise BenchError(f"method {method!r:.80} is not allowed: it must be a name or a Method")
    cls: type[Method] = METHODS.get(method) if isinstance(method, str) else method
    version: Any = cls.version
    if type(version) is not int or not 1 <= version < Limit.AMOUNT:
        raise BenchError(
            f"version {version!r:.80} of the method '{cls.name}' is not allowed: "
            "it must be a whole number from 1 up"
        )
    return cls


def make_task(
    method: type[Method],
    dataset: Described,
    ipc: int | None,
    arch: str | None,
    overrides: Mapping[str, Any],
    profile: str = "paper",
    resolve: Resolve = resolve_profile,
) -> Task:
    """Return a method's task; IPC and architecture are left out where the method uses none.

    Args:
        method: what is to run.
        dataset: the real training set, or its facts.
        ipc: images per class.
        arch: the canonical name of the architecture to distil with.
        overrides: parameters by name that differ from the profile's.
        profile: ``paper``, ``day``, ``lite`` or ``smoke``.
        resolve: resolves the parameters; for callers that keep what was resolved.

    Raises:
        BenchError: naming the parameter or the value that is wrong.
    """
    ipc = None if method.ipc_agnostic else ipc
    if ipc is None and not method.ipc_agnostic:
        raise BenchError(f"{method.name} needs an IPC: how many images per class to distil")
    if ipc is not None:
        check_count("ipc", ipc)
    check_argument("params", overrides, Mapping, "a table of parameters")
    name = dataset.spec.name
    params = resolve(method, check_profile(profile), overrides, ipc, name)
    used = arch if method.uses_arch else None
    return Task(dataset.spec, dataset.class_counts, ipc, used, params)


def prerequisite_task(
    method: type[Method], task: Task, resolve: Resolve = resolve_profile
) -> tuple[type[Method], Task] | None:
    """Return the method that another one starts from, and its task; ``None`` if it starts anew.

    Args:
        method: the other one.
        task: its task.
        resolve: as of :func:`make_task`.

    Raises:
        BenchError: there is no such method, its parameters are wrong, or the rule itself fails.
    """
    try:
        needed = method.prerequisite(task)
    except Exception as error:  # a plugin's rule may raise anything
        raise BenchError(f"prerequisite() of {method.name} failed: {explain(error)}") from error
    return None if needed is None else task_of(needed, task, resolve)


def task_of(
    needed: Prerequisite, task: Task, resolve: Resolve = resolve_profile
) -> tuple[type[Method], Task]:
    """Return the method that a prerequisite names, and its task.

    Args:
        needed: what :meth:`bench.distillation.method.Method.prerequisite` returned.
        task: of the method that starts from it.
        resolve: as of :func:`make_task`.

    Raises:
        BenchError: there is no such method, or its parameters are wrong.
    """
    method = load_method(needed.method)
    return method, make_task(method, task, task.ipc, task.arch, needed.params, resolve=resolve)
