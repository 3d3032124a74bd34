"""The code of a class that stands in no file, as one of a notebook: a hash of its bytecode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

# Values whose text says all there is to know about them.
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def hash_class(plugin: type) -> str:
    """Return a hash of a class, in hex: its methods, values, and what they use of its module.

    Functions, classes and plain values that it names count if its own module defines them. Another
    version of Python compiles to other bytecode, and so gives another hash.

    Args:
        plugin: the class.
    """
    digest = hashlib.sha256()
    for text in _Reader(plugin.__module__).texts(plugin):
        digest.update(text.encode(errors="surrogatepass"))
    return digest.hexdigest()


class _Reader:
    """Reads objects of one module, each once."""

    def __init__(self, module: str) -> None:
        self._module, self._seen = module, set[int]()

    def texts(self, value: Any) -> Iterator[str]:
        """Yield texts that describe a value, in an order that does not change."""
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            value = (value.fget, value.fset)
        if isinstance(value, _PLAIN):
            yield repr(value)
        elif isinstance(value, tuple | list):
            for each in value:
                yield from self.texts(each)
        elif isinstance(value, set | frozenset):
            yield from sorted(map(repr, value))
        elif isinstance(value, dict):
            yield from self.texts(list(value.items()))
        elif getattr(value, "__module__", None) == self._module and id(value) not in self._seen:
            self._seen.add(id(value))
            yield from self._definition(value)

    def _definition(self, value: Any) -> Iterator[str]:
        """Yield the texts of a function or class that the module defines."""
        if isinstance(value, FunctionType):
            yield from self._code(value.__code__, value.__globals__)
            yield from self.texts(value.__defaults__)
            yield from self.texts(value.__kwdefaults__)
        elif isinstance(value, type):
            for base in value.__bases__:
                yield from self.texts(base)
            for name, member in sorted(vars(value).items()):
                if name not in ("__module__", "__dict__", "__weakref__", "__firstlineno__"):
                    yield name
                    yield from self.texts(member)

    def _code(self, code: CodeType, names: dict[str, Any]) -> Iterator[str]:
        yield code.co_code.hex()
        for name in code.co_names:
            yield name
            yield from self.texts(names.get(name))
        for value in code.co_consts:
            if isinstance(value, CodeType):
                yield from self._code(value, names)
            else:
                yield from self.texts(value)
