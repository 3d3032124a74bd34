"""Stand-ins for large tensors: dtype, shape and strides, on memory that is never touched."""

from __future__ import annotations

import mmap
import sys
from functools import cache

import torch
from torch import Tensor

# Elements from which a tensor is a stand-in.
LARGE = 1 << 13
_MEMORY_BYTES = 1 << 28
_MAP_NORESERVE = 0x4000  # of Linux; Python's mmap has it from 3.13 on


class Memory:
    """The memory that all stand-ins share; it holds zeros and is not taken from the machine."""

    def __init__(self) -> None:
        self._regions: list[mmap.mmap] = []
        self._spans: list[tuple[int, int]] = []
        self._grow(_MEMORY_BYTES)

    def holds(self, tensor: Tensor) -> bool:
        """Return whether a tensor is a stand-in, or a view of one: it must stay zero."""
        start = tensor.data_ptr()
        return any(first <= start < end for first, end in self._spans)

    def stand_in(self, shape: Tensor) -> Tensor:
        """Return zeros with the dtype, shape and strides of a meta tensor."""
        if shape.numel() < LARGE:
            return torch.empty_strided(shape.shape, shape.stride(), dtype=shape.dtype).zero_()
        sides = zip(shape.shape, shape.stride(), strict=True)
        length = 1 + sum((size - 1) * stride for size, stride in sides)
        if length * shape.element_size() > len(self._regions[-1]):
            self._grow(2 * length * shape.element_size())
        flat = torch.frombuffer(self._regions[-1], dtype=shape.dtype, count=length)
        return flat.as_strided(shape.shape, shape.stride())

    def _grow(self, size: int) -> None:
        self._regions.append(_untouched_memory(size))
        start = torch.frombuffer(self._regions[-1], dtype=torch.uint8).data_ptr()
        self._spans.append((start, start + size))


def _untouched_memory(size: int) -> mmap.mmap:
    """Return zeros that are not taken from the machine until they are written to."""
    if sys.platform != "linux":
        return mmap.mmap(-1, size)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    return mmap.mmap(-1, size, flags=flags)


@cache
def shared_memory() -> Memory:
    """Return the memory of this process's stand-ins, which may be used after their block."""
    return Memory()
