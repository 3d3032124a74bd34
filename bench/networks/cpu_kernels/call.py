"""How tensors and sizes are handed to the kernels."""

from __future__ import annotations

import ctypes

from torch import Tensor


def pointers(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    """Return where the elements lie; the caller keeps the (contiguous) tensors alive."""
    return [ctypes.c_void_p(None if t is None else t.data_ptr()) for t in tensors]


def sizes(*values: int) -> list[ctypes.c_int64]:
    """Return sizes as the kernels take them."""
    return [ctypes.c_int64(value) for value in values]
