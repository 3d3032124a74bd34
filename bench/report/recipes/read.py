"""Recipes from TOML: those that come with bench, and a user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.evaluation.protocols import get_protocol
from bench.grid.request import MODES
from bench.registry.registry import METHODS
from bench.report.paper.layout import COLUMN_LEVELS
from bench.report.published.sources import load_sources
from bench.report.recipes.recipe import RecipeRow, TableRecipe
from bench.support.errors import BenchError, UnknownNameError
from bench.support.untrusted import Limit, read_named

TABLES = ("accuracy", "time")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Key in the file: field of the dataclass, type of one value, whether it is a list.
_Shape = Mapping[str, tuple[str, type, bool]]
_TABLE: _Shape = {
    "title": ("title", str, False), "caption": ("caption", str, False),
    "dataset": ("datasets", str, True), "ipc": ("ipcs", int, True),
    "arch": ("archs", str, True), "eval_arch": ("eval_archs", str, True),
    "protocol": ("protocol", str, False), "seeds": ("seeds", int, False),
    "nets": ("nets", int, False), "source": ("sources", str, True),
    "columns": ("columns", str, True), "transposed": ("transposed", bool, False),
    "beside": ("beside", bool, False), "tables": ("tables", str, True),
}  # fmt: skip
_ROW: _Shape = {
    "method": ("methods", str, True), "protocol": ("protocol", str, False),
    "mode": ("modes", str, True), "dataset": ("datasets", str, True), "ipc": ("ipcs", int, True),
    "arch": ("archs", str, True),
}  # fmt: skip


def built_in_recipes() -> list[TableRecipe]:
    """Return the recipes that come with bench, by name."""
    folder = files("bench.report.recipes")
    texts = {
        file.name.removesuffix(".toml"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }
    return [parse_recipe(texts[name], name, f"{name}.toml") for name in sorted(texts)]


def find_recipe(name: str) -> TableRecipe:
    """Return the recipe of that name.

    Raises:
        UnknownNameError: there is none.
    """
    recipes = {recipe.name: recipe for recipe in built_in_recipes()}
    if name not in recipes:
        raise UnknownNameError("recipe", name, recipes)
    return recipes[name]


def read_recipe(path: Path) -> TableRecipe:
    """Return a user's recipe; the file's name without its ending is the recipe's.

    Raises:
        BenchError: the file cannot be read, or is no recipe; the message says what is wrong.
    """
    try:
        text = read_named(path, Limit.CONFIG_BYTES).decode("utf-8")
    except OSError as error:
        raise BenchError(f"recipe '{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"recipe '{path}' cannot be read: {error}") from error
    name = path.name.removesuffix(".toml").lower().replace("_", "-")
    if not _NAME.fullmatch(name):
        raise BenchError(f"recipe '{path}': name the file with letters, digits and hyphens")
    return parse_recipe(text, name, str(path))


def parse_recipe(text: str, name: str, where: str) -> TableRecipe:
    """Return the recipe that a TOML text describes.

    Args:
        text: the content of a file.
        name: of the recipe.
        where: names the file in messages.

    Raises:
        BenchError: it is no TOML, lacks a key, has an unknown one, or names what does not exist.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"recipe '{where}' is not valid TOML: {error}") from error
    rows = content.pop("row", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise BenchError(f"recipe '{where}' needs a table [[row]] for each kind of row")
    values = _fields(content, _TABLE, ("title", "dataset", "ipc"), where, "key")
    recipe = TableRecipe(name=name, rows=tuple(_row(row, where) for row in rows), **values)
    _check(recipe, where)
    return recipe


def _row(content: dict[str, Any], where: str) -> RecipeRow:
    parameters = content.pop("set", {})
    if not isinstance(parameters, dict):
        raise BenchError(f"recipe '{where}': set must be a table, as [row.set]")
    values = _fields(content, _ROW, ("method",), where, "key of a row")
    return RecipeRow(parameters=parameters, **values)


def _fields(
    content: Mapping[str, Any], shape: _Shape, needed: Iterable[str], where: str, what: str
) -> dict[str, Any]:
    values = {}
    for key, value in content.items():
        if key not in shape:
            raise UnknownNameError(f"{what} in recipe '{where}'", key, [*shape, "row", "set"])
        field, kind, is_list = shape[key]
        each = value if isinstance(value, list) else [value]
        if (isinstance(value, list) and not is_list) or any(type(v) is not kind for v in each):
            expected = f"{kind.__name__} or a list of it" if is_list else kind.__name__
            raise BenchError(f"recipe '{where}': {key} = {value!r} is not {expected}")
        if is_list and (not each or len(set(each)) < len(each)):
            raise BenchError(f"recipe '{where}': {key} = {value!r} is empty, or repeats a value")
        values[field] = tuple(each) if is_list else value
    for key in needed:
        if key not in content:
            raise BenchError(f"recipe '{where}' lacks the {what} '{key}'")
    return values


def _check(recipe: TableRecipe, where: str) -> None:
    for method in recipe.methods:
        METHODS.entry(method)
    for protocol in (recipe.protocol, *(row.protocol for row in recipe.rows if row.protocol)):
        get_protocol(protocol)
    modes = [mode for row in recipe.rows for mode in row.modes]
    for names, known, what in (
        (modes, MODES, "mode"),
        (recipe.columns, COLUMN_LEVELS, "column"),
        (recipe.tables, TABLES, "kind of table"),
        (recipe.sources, [source.key for source in load_sources()], "published source"),
    ):
        _check_names(names, known, f"{what} in recipe '{where}'")
    for row in recipe.rows:
        _check_names(row.datasets, recipe.datasets, f"dataset of a row in recipe '{where}'")
        rest = [str(ipc) for ipc in row.ipcs]
        _check_names(rest, [str(ipc) for ipc in recipe.ipcs], f"IPC of a row in recipe '{where}'")
    if not {"dataset", "ipc"} <= set(recipe.columns):
        raise BenchError(f"recipe '{where}': columns must name dataset and ipc")
    numbers = (*recipe.ipcs, recipe.seeds, *([] if recipe.nets is None else [recipe.nets]))
    if min(numbers) < 1:
        raise BenchError(f"recipe '{where}': ipc, seeds and nets are whole numbers from 1 up")


def _check_names(names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise UnknownNameError(what, name, known)
