"""Whole: the full training set, undistilled; the upper bound of every table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.plugin import Context, DistilledSet, ImageSet, SelectionMethod, Task, param


class Whole(SelectionMethod):
    """Every real training image, class by class, with its own number of epochs.

    The protocols count epochs for sets of a few hundred images; a thousand epochs of the full set
    serve nobody, so this set asks for its own number.
    """

    @dataclass(frozen=True)
    class Params:
        """``epochs``: no paper states one; 200 is this benchmark's own choice."""

        epochs: int = param(200, help="epochs that a network is trained on the set", min=1)

    name: ClassVar[str] = "whole"
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "lite": {"epochs": 5},
        "smoke": {"epochs": 2},
    }
    gives_up: ClassVar[Mapping[str, str]] = {
        "lite": "5 epochs in place of 200: accuracy well below the true upper bound",
        "smoke": "2 epochs in place of 200: shows only that the path works",
    }
    ipc_agnostic: ClassVar[bool] = True
    uses_arch: ClassVar[bool] = False
    judged_whole: ClassVar[bool] = True

    def select(self, task: Task, ctx: Context) -> Tensor:  # noqa: ARG002
        """Return every index, sorted by class: int64 ``(len(ctx.real),)``."""
        return torch.cat(ctx.real.class_indices)

    def result(self) -> DistilledSet:
        """Return all pixels as uint8, with the number of epochs they ask for."""
        everything = super().result()
        assert isinstance(everything, ImageSet)
        return replace(everything, epochs=self._task.params.epochs)
