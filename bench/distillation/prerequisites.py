"""What a method starts from: another method's task, as the first one asks for it."""

from __future__ import annotations

from bench.distillation.method import Method, Prerequisite, Task
from bench.registry.params import resolve
from bench.registry.registry import METHODS


def task_of(wanted: Prerequisite, task: Task) -> tuple[type[Method], Task]:
    """Return the method that another one starts from, and its task.

    Args:
        wanted: what :meth:`bench.distillation.method.Method.prerequisite` returned.
        task: of the method that starts from it.

    Raises:
        BenchError: there is no such method, or its parameters are wrong.
    """
    method: type[Method] = METHODS.get(wanted.method)
    ipc = None if method.ipc_agnostic else task.ipc
    params = resolve(
        method.Params, wanted.params, owner=method.name, ipc=ipc, dataset=task.spec.name
    )
    arch = task.arch if method.uses_arch else None
    return method, Task(task.spec, task.class_counts, ipc, arch, params)
