"""The source of a plugin: a hash of its module and of what it imports from beside it.

Read from files, without running them, so that every process and machine with equal files computes
the same hash. What a plugin reads besides Python code (weights, tables) is not part of it.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import all_suffixes
from pathlib import Path

from bench.support.untrusted import Limit

# The packages of bench itself: their results depend on declared versions, not on their source.
_HOME = Path(__file__).resolve().parents[2]
_OWN = tuple(_HOME / name for name in ("bench", "methods", "architectures"))
# Folders whose packages have nothing to do with each other.
_INSTALLED = ("site-packages", "dist-packages")
# What this process has imported stays as it is, whatever happens to its file.
_imported: dict[Path, bytes] = {}


@dataclass(frozen=True)
class PluginSource:
    """The source of a plugin.

    Attributes:
        sha256: of all files, in hex, the first 16 digits. The name and the place of the plugin's
            own file are not part of it; what it imports is named relative to it.
        texts: the texts in the code of its own file, among them the names of other plugins.
    """

    sha256: str
    texts: frozenset[str]


def read_source(module: str, *, executed: bool = False) -> PluginSource | None:
    """Return the source of a plugin's module.

    Args:
        module: its name; it has been imported, or is being imported.
        executed: whether its file was run just now, and not when it was first imported.

    Returns:
        ``None`` for a plugin of bench itself, and where there is no file, as in a notebook.
    """
    path = source_file(module)
    if path is None:
        return None
    if any(path.is_relative_to(own) for own in _OWN):
        return None
    if executed:
        _imported.pop(path, None)
    walk = _Walk(path)
    walk.add(path)
    digest = hashlib.sha256()
    for name, content in sorted(walk.contents.items()):
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return PluginSource(digest.hexdigest()[:16], frozenset(walk.texts))


def source_file(module: str) -> Path | None:
    """Return the file of a module that has been imported; ``None`` where there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file is not None and Path(file).is_file() else None


class _Walk:
    """The files that a plugin's file leads to.

    Attributes:
        contents: of each file, by its path relative to the outermost package or folder.
        texts: in the code of the first file.
    """

    def __init__(self, start: Path) -> None:
        self.contents: dict[str, bytes] = {}
        self.texts: set[str] = set()
        self._start, self._seen = start, set[Path]()
        top = start.parent
        while (top / "__init__.py").is_file() and top != top.parent:
            top = top.parent
        self._folders = dict.fromkeys((start.parent, top))
        inner = start.relative_to(top).parts[0].removesuffix(".py")
        self._only = inner if top.name in _INSTALLED else None
        self._top = top

    def add(self, path: Path) -> None:
        """Add a file, and what it imports from beside the first one."""
        if path in self._seen or any(path.is_relative_to(own) for own in _OWN):
            return
        self._seen.add(path)
        content = _content(path)
        self.contents[self._name(path)] = content
        if path.suffix != ".py":
            return
        for node in _naming_nodes(content):
            for imported in self._imports(node, path):
                self.add(imported)
            if path == self._start and isinstance(node, ast.Constant):
                self.texts.add(str(node.value))

    def _name(self, path: Path) -> str:
        """Return a name that does not depend on where the plugin lies, or what it is called."""
        if path == self._start:
            return ""
        inside = path.is_relative_to(self._top)
        return path.relative_to(self._top).as_posix() if inside else path.name

    def _imports(self, node: ast.AST, path: Path) -> Iterator[Path]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from self._absolute(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            for name in names:
                if not node.level:
                    yield from self._absolute(name)
                elif node.level <= len(path.parents):
                    yield from _files(path.parents[node.level - 1], name.strip("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _named(node.value, path)

    def _absolute(self, name: str) -> Iterator[Path]:
        if self._only in (None, name.partition(".")[0]):
            for folder in self._folders:
                yield from _files(folder, name)


def _named(text: str, path: Path) -> Iterator[Path]:
    """Yield the modules beside a file that a text in its code names, as for ``importlib``."""
    if text.isidentifier():
        yield from _files(path.parent, text)
    elif text.endswith(".py") and len(text) <= Limit.FILE_NAME_LETTERS and "\0" not in text:
        named = path.parent / text
        if named.is_file():
            yield named.resolve()


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Yield the file of a module below a folder, and those of the packages around it."""
    for part in filter(None, name.split(".")):
        package = folder / part / "__init__.py"
        if package.is_file():
            yield package.resolve()
        else:
            modules = (folder / f"{part}{suffix}" for suffix in all_suffixes())
            yield from (module.resolve() for module in modules if module.is_file())
        folder = folder / part


@lru_cache(maxsize=64)  # of a file that registers many plugins, the source is read for each
def _naming_nodes(content: bytes) -> tuple[ast.AST, ...]:
    """Return the parts of a file's code that can name modules: import statements and constants."""
    try:
        nodes = ast.walk(ast.parse(content))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()  # Python will not run it either
    return tuple(n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom | ast.Constant))


def _content(path: Path) -> bytes:
    """Return the bytes of a file, as they were when this process first read it."""
    if path not in _imported:
        try:
            _imported[path] = path.read_bytes().replace(b"\r\n", b"\n")
        except OSError:
            _imported[path] = b""
    return _imported[path]
