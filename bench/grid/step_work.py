"""The work of a piece of code, counted without doing it: operations, bytes and calls.

Within :func:`counted`, a large tensor is a stand-in: it has a dtype, a shape and strides, and all
stand-ins share memory that is never touched. Small tensors and integers are real, so that code
whose course depends on labels, on what it draws or on a loss runs as ever. Floating-point
operations are those of the formulas of torch's FLOP counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only
from torch.utils.flop_counter import flop_registry

from bench.grid.stand_ins import LARGE, shared_memory
from bench.grid.work import Work
from bench.networks.cpu_kernels import idle_kernels
from bench.support.time_limit import check_time

# Integers decide what code does, and are real up to more elements.
_LARGE_OF_INTEGERS = 1 << 22
# ``copy.deepcopy`` copies the bytes of a storage, which must be real in the copy of a real tensor:
# so many, read and written.
_LARGE_OF_BYTES = 2 * LARGE * torch.float64.itemsize
# Floating-point operations from which a product is not computed.
_DEAR = 1 << 20
# Operations that look up a few elements of their first input rather than read all of it.
_LOOKUPS = ("index", "index_select", "gather", "embedding")
# Operations whose result is taken to be true everywhere, so that a stand-in counts as finite.
_TRUE = ("eq", "ne", "ge", "le", "mul", "logical_and", "bitwise_and", "all")


@contextmanager
def counted() -> Iterator[Work]:
    """Count what runs within the block, in this thread and on the CPU, and do little of it.

    Yields:
        What is complete when the block has ended.
    """
    work, threads = Work(), torch.get_num_threads()
    counting = _Counting()
    torch.set_num_threads(1)  # code that divides its work among threads then keeps it in this one
    try:
        with idle_kernels(), counting:
            yield work
    finally:
        torch.set_num_threads(threads)
        counting.add_to(work)


@dataclass
class _Call:
    """An operation on inputs of certain shapes.

    Attributes:
        bytes: that it reads and writes.
        is_half: whether they are of bfloat16, and of no product.
        flops: of a product.
        name: the kind and dtype of a product.
        result: what to return in place of what it computes, as tensors on the meta device.
        is_done: whether it is computed.
        count: how often it was called.
    """

    bytes: float = 0.0
    is_half: bool = False
    flops: float = 0.0
    name: str = ""
    result: Any = None
    is_done: bool = True
    count: int = 0


class _Kind:
    """What is known of an operation whatever its inputs."""

    def __init__(self, operation: Any) -> None:
        schema, packet = operation._schema, operation._overloadpacket
        aliases = [each.alias_info for each in schema.arguments if each.alias_info is not None]
        self.operation, self.formula = operation, flop_registry.get(packet)
        self.writes = any(each.is_write for each in aliases)
        self.is_view = bool(aliases) and not self.writes
        self.returns_nothing = not schema.returns
        self.is_lookup = packet.__name__ in _LOOKUPS
        self.is_true = packet.__name__ in _TRUE
        self.is_empty = packet.__name__.startswith(("empty", "new_empty"))
        self.product = "conv" if "conv" in packet.__name__ else "matmul"
        self.has_device = any(each.name == "device" for each in schema.arguments)
        self.is_whole = False


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kinds: dict[Any, _Kind] = {}
        self._calls: dict[object, _Call] = {}
        self._memory = shared_memory()

    def add_to(self, work: Work) -> None:
        """Add up what was called."""
        for call in self._calls.values():
            flops = {call.name: call.flops} if call.name else {}
            moved = {"bfloat16" if call.is_half else "float32": call.bytes}
            work.add(Work(flops, moved, 1.0), call.count)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        check_time()
        kwargs = kwargs or {}
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = _Kind(func)
        if not kind.is_whole and torch.is_inference_mode_enabled():
            # There an operation that is made of others arrives in one piece.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            kind.is_whole = True
        if kind.is_view:
            return func(*args, **kwargs)
        tensors: list[Tensor] = []
        key = func, _key(args, tensors), _key(kwargs.items(), tensors) if kwargs else None
        call = self._calls.get(key)
        if call is None:
            make = _written if kind.writes else _computed
            call = self._calls[key] = make(kind, tensors, args, kwargs)
        call.count += 1
        if not kind.writes:
            if call.is_done:
                return func(*args, **kwargs)
            if kind.is_true and call.result.dtype == torch.bool:
                return torch.ones((), dtype=torch.bool).expand(call.result.shape)
            return tree_map_only(Tensor, self._memory.stand_in, call.result)
        if call.is_done and not any(map(self._memory.holds, tensors)):
            return func(*args, **kwargs)
        return None if kind.returns_nothing else kwargs.get("out", args[0])


def _written(kind: _Kind, tensors: Sequence[Tensor], args: Any, kwargs: Any) -> _Call:  # noqa: ARG001
    """Return the call of an operation in place; a large tensor stays as it is."""
    size = sum(each.numel() for each in tensors)
    moved = sum(map(_bytes, tensors)) + (_bytes(tensors[0]) if tensors else 0)
    return _Call(moved, _are_half(tensors), is_done=size < _least(tensors[:1]))


def _computed(kind: _Kind, tensors: Sequence[Tensor], args: Any, kwargs: Any) -> _Call:
    """Return the call of an operation that makes new tensors."""
    result = _on_meta(kind, tensors, args, kwargs)
    if result is None:
        return _Call(sum(map(_bytes, tensors)), _are_half(tensors))
    made = _tensors(result)
    if kind.formula is not None:
        flops = float(kind.formula(*args, **kwargs, out_val=result))
        name = f"{kind.product} {str(tensors[0].dtype).removeprefix('torch.')}"
        moved = sum(map(_bytes, [*tensors, *made]))
        return _Call(moved, False, flops, name, result, is_done=flops < _DEAR)
    read = tensors[1:] if kind.is_lookup else tensors
    size = max(sum(each.numel() for each in each_side) for each_side in (made, read))
    is_done = size < _least(made) and not kind.is_empty
    moved, half = sum(map(_bytes, [*read, *made])), _are_half([*read, *made])
    return _Call(moved, half, result=result, is_done=is_done)


def _least(made: Sequence[Tensor]) -> int:
    """Return from how many elements on an operation is not computed."""
    if not made or made[0].is_floating_point():
        return LARGE
    return _LARGE_OF_BYTES if made[0].dtype == torch.uint8 else _LARGE_OF_INTEGERS


def _on_meta(kind: _Kind, tensors: Sequence[Tensor], args: Any, kwargs: Any) -> Any:
    """Return an operation's result on the meta device; ``None`` if its shape depends on values."""

    def moved(tensor: Tensor) -> Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")

    named = {name: value for name, value in kwargs.items() if name not in ("generator", "device")}
    if kind.has_device and (not tensors or "device" in kwargs):
        named["device"] = torch.device("meta")
    args, named = tree_map_only(Tensor, moved, (args, named))
    try:
        result = kind.operation(*args, **named)
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    return result if all(each.is_meta for each in _tensors(result)) and _tensors(result) else None


def _key(values: Any, tensors: list[Tensor]) -> tuple[Any, ...]:
    """Return what the shapes of a result depend on, and collect the tensors among its inputs."""
    parts: list[Any] = []
    for value in values:
        if isinstance(value, Tensor):
            tensors.append(value)
            parts.append((value.dtype, value.shape, value.stride()))
        elif isinstance(value, (tuple, list)):
            parts.append(_key(value, tensors))
        elif isinstance(value, (float, torch.Generator)):
            parts.append(type(value))
        else:
            parts.append((type(value), value))
    return tuple(parts)


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_flatten(values)[0] if isinstance(each, Tensor)]


def _are_half(tensors: Sequence[Tensor]) -> bool:
    return any(each.dtype == torch.bfloat16 for each in tensors)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
