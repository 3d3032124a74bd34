"""A GPU that is not there: tensors that say they are on it, and keep their values in main memory.

PyTorch lets a backend be written in Python. This one computes every operation with the CPU's own
kernels, but is as strict as CUDA about what lies where, and counts what a host would wait for. So
code for GPUs is tried, by its values too, where there is none. Not seen: what depends on the name
``cuda``, autocast, speed, and memory.

Registering a backend changes the process for good, and must come before the first backward pass:
only for processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "simulated"
# The host needs the value that such an operation finds, and waits for it.
_READS = (
    "local_scalar", "nonzero", "aten.equal", "unique", "masked_select", "bincount",
    "repeat_interleave.Tensor",
)  # fmt: skip
# What a recorded step would draw once and for all.
_DRAWS = ("rand", "normal", "bernoulli", "uniform", "dropout", "multinomial", "exponential")
_GENERATOR = torch.Generator  # what PyTorch itself hands on, before a name changes
_COPIES = ("aten._to_copy", "aten.copy_")


class _Module(backend_registration._DummyBackendModule):
    """What ``torch.get_device_module`` gives; the default generator is the CPU's."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, device: object = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: object = None) -> None:
        torch.set_rng_state(state)


class OnGpu(torch.Tensor):
    """A tensor of the simulated GPU, around one that holds its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGpu:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} ran outside the simulated GPU")


class _Generator(torch.Generator):
    """A CPU's generator that may say it is the GPU's."""

    _far: set[int] = set()
    _kept: list[torch.Generator] = []  # an address must not serve twice

    def __new__(cls, device: torch.device | str = "cpu") -> _Generator:
        made = super().__new__(cls)
        if torch.device(device).type == NAME:
            cls._far.add(made._cdata)
            cls._kept.append(made)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(NAME, 0) if self._cdata in self._far else torch.device("cpu")


class SimulatedGpu(TorchDispatchMode):
    """Computes what is on the GPU, refuses what mixes devices, and notes what must be waited for.

    Attributes:
        reads: operations whose outcome the host must wait for.
        copies: from and to the GPU: each waits, unless memory is pinned.
        draws: operations that draw random numbers.
        total: operations of all kinds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.copies: list[str] = []
        self.draws: list[str] = []
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs, self.total = str(func), dict(kwargs or {}), self.total + 1
        leaves = list(_leaves((args, kwargs)))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        far = any(isinstance(t, OnGpu) for t in tensors)
        if name.startswith(_COPIES):
            source, target = tensors[-1].device, asked or tensors[0].device
            far = target.type == NAME
            if source.type != target.type:
                self.copies.append(f"{name} {tuple(tensors[-1].shape)} to {target.type}")
        elif far:
            self._check(name, tensors)
        else:
            far = asked is not None and asked.type == NAME
        for leaf in leaves:
            if isinstance(leaf, _GENERATOR) and (leaf._cdata in _Generator._far) != far:
                raise RuntimeError(f"{name}: its generator is on another device")
        if any(word in name for word in _DRAWS):
            self.draws.append(name)
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        found = func(*_mapped(_held, args), **_mapped(_held, kwargs))
        same = {id(t.held): t for t in tensors if isinstance(t, OnGpu)}

        def sent(x: Any) -> Any:
            if not far or not isinstance(x, torch.Tensor):
                return x
            return same[id(x)] if id(x) in same else OnGpu(x)

        return _mapped(sent, found)

    def _check(self, name: str, tensors: list[torch.Tensor]) -> None:
        # As CUDA does, a number in main memory is taken along.
        strays = [tuple(t.shape) for t in tensors if not isinstance(t, OnGpu) and t.dim()]
        if strays:
            raise RuntimeError(f"{name}: tensors in main memory among those of the GPU: {strays}")
        masks = name.startswith("aten.index") and any(t.dtype == torch.bool for t in tensors[1:])
        if masks or any(word in name for word in _READS):
            self.reads.append(name)


class _Factories(TorchFunctionMode):
    """Makes a tensor of Python numbers where they are, and sends it, as PyTorch does unseen."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], OnGpu):
            return args[0].cpu().tolist()  # counted as a copy, on which the host waits
        return func(*args, **kwargs)


def register() -> torch.device:
    """Make this process believe in the GPU; return its device."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    torch.Generator = _Generator  # type: ignore[misc]
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch.inference_mode = lambda mode=True: torch.set_grad_enabled(not mode)  # type: ignore[misc,assignment]
    return torch.device(NAME, 0)


@contextmanager
def simulated_gpu() -> Iterator[SimulatedGpu]:
    """Compute on it inside the block."""
    with SimulatedGpu() as gpu, _Factories():
        yield gpu


def _leaves(x: Any) -> Iterator[Any]:
    """Yield what is in the arguments of an operation, which are lists, tuples and dictionaries.

    PyTorch's own pytree, which knows more kinds, took two thirds of the time of these tests.
    """
    if isinstance(x, list | tuple):
        for each in x:
            yield from _leaves(each)
    elif isinstance(x, dict):
        yield from _leaves(tuple(x.values()))
    else:
        yield x


def _mapped(change: Callable[[Any], Any], x: Any) -> Any:
    """Return arguments like ``x``, or a result like it, with each leaf changed."""
    if isinstance(x, list | tuple):
        return type(x)([_mapped(change, each) for each in x])
    if isinstance(x, dict):
        return {key: _mapped(change, value) for key, value in x.items()}
    return change(x)


def _held(x: Any) -> Any:
    return x.held if isinstance(x, OnGpu) else x
