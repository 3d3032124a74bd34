"""The base classes: what a method may leave out, and one-shot selection."""

from __future__ import annotations

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from torch import Tensor

from bench.distillation.method import Method
from bench.distillation.selection import SelectionMethod
from bench.registry.params import NoParams


class Last(SelectionMethod):
    """The last images of each class."""

    name = "last"

    def select(self) -> Tensor:
        return torch.cat([index[-self.ipc :] for index in self.ctx.real.class_indices])


def test_what_a_method_may_leave_out() -> None:
    assert (Last.version, Last.Params, Last.profiles, Last.modes) == (1, NoParams, {}, ("stored",))
    assert not Last.ipc_agnostic
    assert not Last.own_size
    assert Last.uses_arch
    task = tiny_task(Last, tiny_real_set(), 2, None)
    assert Last.prerequisite(task) is None
    assert Last.skip(task) is None
    assert Last.shown_per_stored(task.params) == 1
    assert Last(task, tiny_context()).byproducts() == {}


@pytest.mark.parametrize("cls", [Method, SelectionMethod])
def test_what_it_must_not(cls: type[Method]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        cls(tiny_task(Last, tiny_real_set(), 2, None), tiny_context())


def test_a_selection_is_one_step_and_real_pixels() -> None:
    ctx = tiny_context()
    method = begin(Last, ctx, 2, None)
    assert method.steps() == 1
    assert method.step(0) == {}
    chosen = method.result()
    assert chosen.images.dtype == torch.uint8
    assert chosen.labels.tolist() == [0, 0, 1, 1, 2, 2]
    wanted = [ctx.real.class_indices[c][i] for c in range(3) for i in (-2, -1)]
    assert torch.equal(chosen.images, ctx.real.images[torch.stack(wanted)])


def test_a_selection_resumes() -> None:
    first, second = (begin(Last, tiny_context(), 1, None) for _ in range(2))
    assert first.state_dict() == {"indices": None}
    first.step(0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.result().images, first.result().images)


def test_a_result_before_its_step_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match=r"last: result\(\) was called before step\(0\)"):
        begin(Last, tiny_context(), 1, None).result()


@pytest.mark.parametrize(("ipc", "reason"), [(12, None), (13, "fewer than IPC 13"), (None, None)])
def test_small_classes_are_skipped_with_their_size(ipc: int | None, reason: str | None) -> None:
    found = Last.skip(tiny_task(Last, tiny_real_set(per_class=12), ipc, None))
    assert (found is None) == (reason is None)
    if reason is not None:
        assert found == f"the smallest class holds 12 images, {reason}"
