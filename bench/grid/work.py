"""The work of code and of cells: operations, bytes and calls, as plain numbers."""

from __future__ import annotations

import msgspec


class Work(msgspec.Struct):
    """What a piece of code does.

    Attributes:
        flops: floating-point operations of products by kind and dtype, such as ``matmul float32``
            or ``conv bfloat16``; a multiply-add is two.
        bytes: bytes that operations read and write, by dtype: ``bfloat16``, and ``float32`` for all
            others and for what products read and write.
        calls: operations of any kind.
    """

    flops: dict[str, float] = {}
    bytes: dict[str, float] = {}
    calls: float = 0.0

    def add(self, other: Work, times: float = 1.0) -> None:
        """Add so many repetitions of other work."""
        for kind, flops in other.flops.items():
            self.flops[kind] = self.flops.get(kind, 0.0) + times * flops
        for dtype, size in other.bytes.items():
            self.bytes[dtype] = self.bytes.get(dtype, 0.0) + times * size
        self.calls += times * other.calls


class CountedWork(msgspec.Struct):
    """The work of cells that differ in their seeds only.

    Attributes:
        unit: the work of one unit: a step of a method, or the evaluation of one network.
        units: how many there are.
        is_partial: whether counting ended early, so that a unit is more than that.
    """

    unit: Work
    units: float
    is_partial: bool = False

    @property
    def total(self) -> Work:
        """The work of all units."""
        total = Work()
        total.add(self.unit, self.units)
        return total

    def part(self, share: float) -> CountedWork:
        """Return this share of the units."""
        return CountedWork(self.unit, share * self.units, self.is_partial)
