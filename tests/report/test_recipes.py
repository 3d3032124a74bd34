"""Recipes of tables: those that come with bench, a user's own, and the requests they lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.networks.architecture import canonical_name
from bench.registry.registry import DATASETS, METHODS
from bench.report.published.sources import load_sources
from bench.report.recipes.read import built_in_recipes, find_recipe, parse_recipe, read_recipe
from bench.report.recipes.recipe import TableRecipe
from bench.report.recipes.requests import Choice, make_layouts, make_requests, narrow
from bench.support.errors import BenchError, UnknownNameError

SMALL = """
title = "Small"
dataset = ["mnist", "svhn"]
ipc = [1, 10]
seeds = 3
nets = 4
protocol = "plain"
source = "li2024pad"

[[row]]
method = ["random", "dm"]

[[row]]
method = "dim"
mode = "stream"
protocol = "dim"
ipc = 10
set.iterations = 5

[[row]]
method = ["herding"]
dataset = "svhn"
"""


def small() -> TableRecipe:
    return parse_recipe(SMALL, "small", "small.toml")


def test_the_recipes_that_come_with_bench() -> None:
    assert {recipe.name for recipe in built_in_recipes()} == {
        "dim-main", "dim-cross-architecture", "dim-ratio", "dc-main", "dsa-main", "dm-main",
        "mtt-main", "dc-bench",
    }  # fmt: skip


@pytest.mark.parametrize("recipe", built_in_recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_names_only_what_exists(recipe: TableRecipe) -> None:
    assert recipe.title
    assert set(recipe.methods) <= set(METHODS.names())
    assert set(recipe.datasets) <= {*DATASETS.names(), "tinyimagenet"}  # which users import
    assert set(recipe.sources) <= {source.key for source in load_sources()}
    for arch in (*recipe.archs, *recipe.eval_archs):
        assert canonical_name(arch) == arch
    for profile in ("paper", "lite", "smoke"):
        for request in make_requests(recipe, Choice(profile=profile)):
            request.check()


def test_the_main_table_of_dim() -> None:
    recipe = find_recipe("dim-main")
    assert recipe.datasets == ("mnist", "fashionmnist", "svhn", "cifar10")
    assert recipe.ipcs == (1, 10, 50)
    row = next(row for row in recipe.rows if "dim" in row.methods)
    assert row.modes == ("stream", "frozen")
    assert "real-stream" in recipe.methods


def test_one_artefact_for_many_ipc_has_a_table_of_times() -> None:
    layouts = make_layouts(find_recipe("dim-ratio"))
    assert [layout.quantity for layout in layouts] == ["accuracy", "time"]
    assert len({layout.name for layout in layouts}) == 2


def test_rows_that_are_run_alike_share_a_request() -> None:
    first, second, third = make_requests(small(), Choice())
    assert (first.methods, first.datasets, first.ipcs) == (
        ("random", "dm"), ("mnist", "svhn"), (1, 10),
    )  # fmt: skip
    assert (first.protocol, first.seeds, first.eval_nets) == ("plain", 3, 4)
    assert (second.methods, second.modes, second.ipcs) == (("dim",), ("stream",), (10,))
    assert (second.protocol, second.overrides) == ("dim", {"dim": {"iterations": 5}})
    assert (third.methods, third.datasets) == (("herding",), ("svhn",))


def test_other_profiles_have_their_own_protocol_seeds_and_networks() -> None:
    for request in make_requests(small(), Choice(profile="lite")):
        assert request.protocol is None
        assert (request.seeds, request.eval_nets) == (1, None)
    chosen = Choice(profile="lite", seeds=2, nets=3, protocol="dim", precision="bf16")
    for request in make_requests(small(), chosen):
        assert (request.protocol, request.seeds, request.eval_nets) == ("dim", 2, 3)
        assert request.precision == "bf16"


def test_narrowing() -> None:
    choice = Choice(methods=("dm", "dim"), ipcs=(1,))
    narrowed = narrow(small(), choice)
    assert narrowed.methods == ("dm",)  # dim has a row at IPC 10 alone
    assert narrowed.name == "small-dm-dim-ipc1"
    assert narrow(small(), Choice(profile="smoke")).name == "small-smoke"
    assert narrow(small(), Choice()) == small()


def test_a_dataset_that_the_recipe_does_not_have_gets_every_row() -> None:
    narrowed = narrow(small(), Choice(datasets=("digits",)))
    assert narrowed.methods == small().methods
    assert {request.datasets for request in make_requests(narrowed, Choice())} == {("digits",)}
    assert narrow(small(), Choice(datasets=("mnist",))).methods == ("random", "dm", "dim")


def test_what_a_recipe_does_not_have() -> None:
    with pytest.raises(UnknownNameError, match=r"method in recipe 'small' 'dmm'\. Did you mean"):
        narrow(small(), Choice(methods=("dmm",)))
    with pytest.raises(BenchError, match="nothing of recipe 'small'"):
        narrow(small(), Choice(methods=("herding",), datasets=("mnist",)))
    with pytest.raises(UnknownNameError, match="Did you mean 'dim-main'"):
        find_recipe("dim-mian")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Small"', "", "lacks the key 'title'"),
        ("ipc = [1, 10]", 'ipc = [1, "10"]', r"ipc = \[1, '10'\] is not int or a list of it"),
        ("ipc = [1, 10]", "ipc = [1, 1]", "is empty, or repeats a value"),
        ("ipc = [1, 10]", "ipc = [0, 10]", "from 1 up"),
        ("seeds = 3", "seed = 3", "key in recipe 'small.toml' 'seed'. Did you mean 'seeds'"),
        ("seeds = 3", "seeds = true", "seeds = True is not int"),
        ("seeds = 3", "transposed = 1", "transposed = 1 is not bool"),
        ('protocol = "plain"', 'protocol = "plane"', "Did you mean 'plain'"),
        ('"li2024pad"', '"li2024"', "Did you mean 'li2024pad'"),
        ('"random", "dm"', '"randm", "dm"', "Did you mean 'random'"),
        ('mode = "stream"', 'mode = "streamed"', "Did you mean 'stream'"),
        ('mode = "stream"', 'modus = "stream"', "Did you mean 'mode'"),
        ('dataset = "svhn"', 'dataset = "shvn"', "Did you mean 'svhn'"),
        ("seeds = 3", 'columns = ["ipc", "archs"]', "unknown column in recipe"),
        ("seeds = 3", 'columns = ["ipc"]', "columns must name dataset and ipc"),
        ("seeds = 3", 'tables = ["times"]', "Did you mean 'time'"),
        ("set.iterations = 5", "set = 5", "set must be a table"),
        ("[[row]]", "[[rows]]", r"needs a table \[\[row\]\]"),
        ("seeds = 3", "seeds =", "is not valid TOML"),
    ],
)
def test_a_recipe_that_is_wrong(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(BenchError, match=message):
        parse_recipe(SMALL.replace(old, new), "small", "small.toml")


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "My_Table.toml"
    path.write_text(SMALL)
    assert read_recipe(path).name == "my-table"
    assert read_recipe(path).rows == small().rows


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "absent.toml")
    odd = tmp_path / "a b.toml"
    odd.write_text(SMALL)
    with pytest.raises(BenchError, match="name the file with letters, digits and hyphens"):
        read_recipe(odd)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(BenchError, match="cannot be read"):
        read_recipe(binary)
