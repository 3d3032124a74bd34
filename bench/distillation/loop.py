"""The loop that every method runs in: steps, scalars, checkpoints, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from torch import Tensor

from bench.distillation.context import Context
from bench.distillation.method import Method
from bench.support.attempt import Attempt
from bench.support.cost_meter import Meter
from bench.support.errors import BenchError
from bench.support.failure_reasons import fitting

# How often scalars are read from the device, in seconds: reading waits for the device.
_READ_EVERY = 0.5


class NotFiniteError(Exception):
    """A loss became NaN or infinite."""


class Loop:
    """Runs a method's steps, from the first or from a saved state.

    Args:
        method: after ``setup``.
        ctx: its context; its generators are part of the state.
        attempt: where the state is saved, what may stop the loop, and who hears of progress.
        meter: what was spent is part of the state.
    """

    def __init__(self, method: Method, ctx: Context, attempt: Attempt, meter: Meter) -> None:
        self._method, self._ctx, self._attempt, self._meter = method, ctx, attempt, meter
        self._done, self._last_read = 0, time.perf_counter()
        # Scalars of the steps since they were last read, so that the first bad one can be named.
        self._unread: list[Mapping[str, Tensor]] = []
        self._last: dict[str, float] = {}

    def run(self, percent: int | None = None) -> dict[str, float]:
        """Run every step that is left; return the last scalars.

        Args:
            percent: stop after this percentage of the steps, with the state saved, so that another
                loop can go on from it.

        Raises:
            NotFiniteError: naming the scalar and the step.
            Interrupted: it was time to end; the state is saved.
        """
        total = count_steps(self._method)
        until = total if percent is None else min(total, max(1, total * percent // 100))
        checkpoint, stop = self._attempt.checkpoint, self._attempt.stop
        while self._done < until:
            self._unread.append(self._method.step(self._done))
            self._done += 1
            if stop.requested or checkpoint.due():
                # Read first: a state after a loss that is not finite must not be saved.
                self._read()
                checkpoint.save(self.state_dict())
                stop.check()
            elif time.perf_counter() - self._last_read > _READ_EVERY:
                self._read()
        self._read()
        # A generator is diagnosed next, which can be stopped too.
        if until < total or self._method.artefact == "generator":
            checkpoint.save(self.state_dict())
        return self._last

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self._done

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later steps and the record depend on; tensors may be live."""
        return {
            "done": self._done,
            "total": count_steps(self._method),  # for `bench status`
            "last": self._last,
            "method": self._method.state_dict(),
            "ctx": self._ctx.state_dict(),
            "shared": self._ctx.shared_costs(),
            "cost": self._meter.read(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            UnfitStateError: the method refuses it; nothing can be continued with what is left.
        """
        with fitting():
            self._done, self._last = _place(state, count_steps(self._method))
            self._method.load_state_dict(state["method"])
            self._ctx.load_state_dict(state["ctx"])
            self._ctx.load_shared_costs(state["shared"])

    def _read(self) -> None:
        """Read the scalars of the steps since the last time, and report those of the newest."""
        first = self._done - len(self._unread)
        for i, scalars in enumerate(self._unread):
            self._last = _finite(scalars, first + i)
        self._unread.clear()
        self._attempt.progress(self._done, count_steps(self._method), self._last)
        self._last_read = time.perf_counter()


def count_steps(method: Method) -> int:
    """Return how many steps a method takes in all.

    Raises:
        BenchError: its answer is no number of steps.
    """
    steps: Any = method.steps()
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0:
        raise BenchError(
            f"steps() of the method '{method.name}' returned {steps!r:.80}; "
            "it must be a whole number from 0 up"
        )
    return int(steps)


def _place(state: Mapping[str, Any], total: int) -> tuple[int, dict[str, float]]:
    """Return how many steps are done, and the last scalars, if a loop can have left them."""
    done, last = state["done"], {str(k): float(v) for k, v in state["last"].items()}
    if type(done) is not int or not 0 <= done <= total:
        raise ValueError(f"{done!r:.50} of {total} steps are done")
    if not all(map(math.isfinite, last.values())):
        raise ValueError("a scalar is not finite")
    return done, last


def _finite(scalars: Mapping[str, Tensor], step: int) -> dict[str, float]:
    values = {name: float(value) for name, value in scalars.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value} at step {step}")
    return values
