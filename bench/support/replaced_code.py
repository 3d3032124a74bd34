"""Functions, classes and properties of libraries and of bench, which a plugin can replace."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

# Modules and classes whose functions a plugin could replace, beside all of bench.
_PATCHABLE = (
    "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.linalg",
    "torch.autograd", "numpy", "random", "os", "time", "builtins", "hashlib", "json",
)  # fmt: skip
_PATCHABLE_CLASSES = ("torch.Tensor", "torch.nn.Module", "torch.Generator")
_CODE = (types.FunctionType, types.BuiltinFunctionType, type, staticmethod, classmethod, property)

# The functions, classes and properties of each watched module or class, by its name.
Code = dict[str, tuple[Any, dict[str, Any]]]


def _holders() -> Iterator[tuple[str, Any]]:
    """Yield the modules and classes whose code is watched, with their names."""
    for name, module in list(sys.modules.items()):
        if name in _PATCHABLE or name.split(".")[0] in ("bench", "methods", "architectures"):
            yield name, module
            for key, value in list(vars(module).items()):
                own = isinstance(value, type) and value.__module__ == name
                if own and name.startswith("bench."):
                    yield f"{name}.{key}", value
    for path in _PATCHABLE_CLASSES:
        module_name, _, key = path.rpartition(".")
        if module_name in sys.modules:
            yield path, getattr(sys.modules[module_name], key)


def read_code() -> Code:
    """Return the functions, classes and properties of every watched module and class."""
    return {
        name: (holder, {k: v for k, v in vars(holder).items() if isinstance(v, _CODE)})
        for name, holder in _holders()
    }


def restore_code(before: Code) -> list[str]:
    """Put back what was replaced; return what it was."""
    changes = []
    for name, (holder, members) in before.items():
        now = vars(holder)
        for key, value in members.items():
            if now.get(key) is not value and not _is_torchs_own(now.get(key), key):
                setattr(holder, key, value)
                changes.append(f"{name}.{key}")
        if isinstance(holder, type) and name in _PATCHABLE_CLASSES:
            # A function that a base class has is replaced by one of the class's own.
            for key in [k for k, v in now.items() if k not in members and isinstance(v, _CODE)]:
                delattr(holder, key)
                changes.append(f"{name}.{key}")
    return changes


def _is_torchs_own(value: Any, name: str) -> bool:
    """Return whether torch itself replaced a function, by a wrapper of the same name."""
    module = str(getattr(value, "__module__", ""))
    return module.split(".")[0] == "torch" and getattr(value, "__name__", "") == name
