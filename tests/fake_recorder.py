"""Recorders of steps for the CPU: they compute a recorded step again when that is replayed."""

from __future__ import annotations

from collections.abc import Callable

from bench.networks.replay import Outputs, Recording


class FakeRecorder:
    """Records by keeping the step, and tells times that it was given.

    Args:
        replay_seconds: of a replay.
        plain_seconds: of a plain call.
        error: raised on recording.
    """

    def __init__(
        self,
        replay_seconds: float = 1.0,
        plain_seconds: float = 2.0,
        error: RuntimeError | None = None,
    ) -> None:
        self.times, self.error = (plain_seconds, replay_seconds), error
        self.recorded = self.replays = 0

    def record(self, step: Callable[[], Outputs]) -> Recording:
        """Run the step as a trial, and record it."""
        if self.error is not None:
            step()
            raise self.error
        self.recorded += 1
        outputs = tuple(x.detach().clone() for x in step())

        def replay() -> None:
            self.replays += 1
            for target, source in zip(outputs, step(), strict=True):
                target.copy_(source.detach())

        return Recording(replay, outputs)

    def seconds(self, run: Callable[[], object]) -> float:
        """Run it; a replay counts itself."""
        before = self.replays
        run()
        return self.times[self.replays > before]


class ChannelsLast(FakeRecorder):
    """Lets every network be faster with channels last.

    Args:
        share: of the time with channels first that a step then takes.
        error: raised on recording.
    """

    def __init__(self, share: float = 0.5, error: RuntimeError | None = None) -> None:
        super().__init__(error=error)
        self.share, self.timed = share, 0

    def seconds(self, run: Callable[[], object]) -> float:
        """Run it; the first half of all runs are with channels first."""
        run()
        self.timed += 1
        return 1.0 if self.timed <= 5 else self.share
