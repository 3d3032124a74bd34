"""Real stream: fresh real images in every epoch; the reference that a generator must beat."""

from __future__ import annotations

from bench.plugin import DistilledSet, Method, Scalars
from bench.plugin.sets import RealStreamSet


class RealStream(Method):
    """IPC other real images of each class in every epoch, without replacement.

    It distils nothing. A generator is evaluated on IPC fresh images per class and epoch, and this
    is the same with real images: as many distinct images and training steps, and the whole
    training set as stored bytes.
    """

    name = "real-stream"
    artefact = "real-stream"
    label = "Real stream"
    colour = "#78180B"
    marker = "H"
    table_order = 135
    published_differences = "none"
    ipc_agnostic = True
    uses_arch = False
    modes = ("stream",)

    def steps(self) -> int:
        """Return 1: there is nothing to compute."""
        return 1

    def step(self, i: int) -> Scalars:  # noqa: ARG002
        """Do nothing."""
        return {}

    def result(self) -> DistilledSet:
        """Return all real images, as a set that draws."""
        real = self.ctx.real
        return RealStreamSet(self.spec, real.images, real.labels, {})
