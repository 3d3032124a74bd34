"""A plugin as an installable package: written from templates, ready to be tested and run."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from bench.registry.names import check_plugin_name
from bench.registry.registry import REGISTRIES
from bench.support.atomic_files import writing
from bench.support.errors import BenchError, UnknownNameError

_TEMPLATES = files("bench.scaffold") / "templates"

_NEXT = {
    "method": (
        "- the loss in `step`, and the parameters that it needs, with your paper's values;",
        "- `paper = Paper(...)`, so that tables cite it, and `published_protocol`;",
        "- `state`, if a step depends on more than pixels and their momentum;",
        "- `version = 2`, once numbers of the same parameters change.",
    ),
    "architecture": (
        "- the network in `build`, with `embed(images)`: the input of its classifier;",
        "- more `members`, if the family has several;",
        "- `per_sample`: false where an image's output depends on its batch, as with batch norm.",
    ),
    "dataset": (
        "- `load`: your images, uint8, with the official split;",
        "- `spec`: mean and std of the training part in [0, 1], and class names;",
        "- `flip`: whether a mirrored image keeps its class.",
    ),
}
_COMMANDS = {
    "method": "--method random,$name --dataset digits",
    "architecture": "--method random --dataset digits --arch $name",
    "dataset": "--method random --dataset $name",
}
KINDS = tuple(_COMMANDS)


def write_package(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a package that holds a working plugin, its tests and its README.

    Args:
        kind: ``method``, ``architecture`` or ``dataset``.
        name: what users will type: lower case, digits and hyphens.
        folder: where the package's folder is made.

    Returns:
        The files written.

    Raises:
        BenchError: for a name that cannot be asked for, is taken or is no module's name, or if the
            folder exists already.
    """
    if kind not in KINDS:
        raise UnknownNameError("plugin kind", kind, KINDS)
    root = folder / f"bench-{name}"
    values = _values(kind, name)
    if root.exists():
        raise BenchError(f"'{root}' exists already: choose another name, or another folder by -o")
    module = values["module"]
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/__init__.py": f"{kind}.py",
        "tests/test_conformance.py": "test_conformance.py",
    }
    written = []
    with writing(root):
        for target, template in sources.items():
            path = root / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(template, values), encoding="utf-8")
            written.append(path)
        (root / module / "py.typed").touch()
    return written


def _values(kind: str, name: str) -> dict[str, str]:
    """Return what stands in the templates' places."""
    check_plugin_name(kind, name)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BenchError(
            f"{kind} name '{name}' is not allowed for a package: lower-case letters, digits and "
            "single hyphens, a letter first"
        )
    module = f"bench_{name.replace('-', '_')}"
    words = name.split("-")
    class_name = "".join(word.capitalize() for word in words)
    if name in REGISTRIES[kind].names():
        raise BenchError(f"{kind} '{name}' exists already; `bench show {name}` says what it is")
    if keyword.iskeyword(class_name) or module in sys.stdlib_module_names:
        raise BenchError(f"'{name}' is a word of Python: choose another name")
    options = Template(_COMMANDS[kind]).substitute(name=name)
    article = "an" if kind[0] in "aeiou" else "a"
    return {
        "kind": kind,
        "name": name,
        "module": module,
        "class_name": class_name,
        "title": " ".join(word.capitalize() for word in words),
        "article": article,
        "article_title": article.capitalize(),
        "checked": f'"{name}"' if kind == "architecture" else class_name,
        "command": f"bench run {options} --ipc 1,10 --profile smoke",
        "next_steps": "\n".join(_NEXT[kind]),
    }


def _filled(template: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(values)
