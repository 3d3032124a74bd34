"""Profiles resolve in order, and parameters get the name they deserve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench.distillation.method import Method
from bench.distillation.profiles import (
    PROFILE_PROTOCOL,
    PROFILES,
    Profile,
    check_profile,
    label_profile,
    resolve_profile,
)
from bench.distillation.selection import SelectionMethod
from bench.registry.params import by_dataset, by_ipc, param
from bench.support.errors import BenchError


@dataclass(frozen=True)
class Params:
    iterations: int = param(by_ipc(lambda ipc: 100 * ipc), help="steps", min=1)
    lr: float = param(1.0, help="rate", min=0)
    words: tuple[str, ...] = param(("a", "b"), help="words")


class Toy(SelectionMethod):
    """A method with profiles."""

    name = "toy"
    Params = Params
    profiles = {
        "lite": Profile({"iterations": 10}, "most steps"),
        "smoke": Profile({"iterations": 2, "lr": 0.5}, "nearly all steps"),
    }


class Plain(SelectionMethod):
    """A method without parameters."""

    name = "plain"


class NoSmoke(Toy):
    """A method with a lite profile only."""

    profiles = {"lite": Profile({"iterations": 10}, "most steps")}


def label(asked: str, ipc: int | None = 5, method: type[Method] = Toy, **overrides: Any) -> Any:
    params = resolve_profile(method, asked, overrides, ipc)
    named = {p: resolve_profile(method, p, {}, ipc) for p in PROFILES}
    return label_profile(named, params, asked)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_exists_and_has_a_protocol(profile: str) -> None:
    assert check_profile(profile) == profile
    assert PROFILE_PROTOCOL[profile]


def test_an_unknown_profile_gets_a_near_miss() -> None:
    with pytest.raises(BenchError, match=r"unknown profile 'papr'. Did you mean 'paper'"):
        check_profile("papr")


@pytest.mark.parametrize(
    ("profile", "overrides", "wanted"),
    [
        ("paper", {}, Params(500, 1.0)),
        ("lite", {}, Params(10, 1.0)),
        ("smoke", {}, Params(2, 0.5)),
        ("smoke", {"lr": "2"}, Params(2, 2.0)),
        ("smoke", {"iterations": 7}, Params(7, 0.5)),
    ],
)
def test_the_paper_then_the_profile_then_the_user(
    profile: str, overrides: dict[str, Any], wanted: Params
) -> None:
    assert resolve_profile(Toy, profile, overrides, 5) == wanted


def test_a_profile_may_have_a_rule_by_dataset() -> None:
    class Ruled(Toy):
        """A method whose lite profile depends on the dataset."""

        profiles = {
            "lite": Profile({"iterations": by_dataset(lambda name: len(name))}, "most steps")
        }

    resolved = {name: resolve_profile(Ruled, "lite", {}, 1, name) for name in ("svhn", "cifar10")}
    assert {name: one.iterations for name, one in resolved.items()} == {"svhn": 4, "cifar10": 7}


def test_wrong_overrides_name_the_method() -> None:
    with pytest.raises(BenchError, match=r"parameter of toy 'iteration'.*'iterations'"):
        resolve_profile(Toy, "lite", {"iteration": 3}, 1)


@pytest.mark.parametrize("asked", PROFILES)
def test_the_asked_profile_is_the_label(asked: str) -> None:
    assert label(asked) == (asked, "")


@pytest.mark.parametrize("asked", PROFILES)
def test_a_method_without_profiles_is_the_same_under_any(asked: str) -> None:
    assert label(asked, method=Plain) == ("any", "")


@dataclass(frozen=True)
class GrownParams:
    boost: float = param(0.0, help="what came later", later=True)


class Grown(SelectionMethod):
    """A method whose lite profile uses a parameter that came later."""

    name = "grown"
    Params = GrownParams
    profiles = {"lite": Profile({"boost": 2.0}, "nothing"), "smoke": Profile({}, "nothing")}


def test_a_later_parameter_is_named_where_its_default_is_the_change() -> None:
    assert label("lite", method=Grown) == ("lite", "")
    assert label("lite", method=Grown, boost=0) == ("custom", "lite: boost=0.0")


def test_overrides_that_change_nothing_are_no_change() -> None:
    assert label("lite", iterations="10", lr=1) == ("lite", "")
    assert label("paper", iterations=500) == ("paper", "")


@pytest.mark.parametrize(
    ("asked", "overrides", "changed"),
    [
        ("lite", {"iterations": 200}, "lite: iterations=200"),
        ("paper", {"lr": 2, "iterations": 3}, "paper: iterations=3, lr=2.0"),
        ("smoke", {"words": "c"}, "smoke: words=['c']"),
        # The parameters of lite, asked for as changes of paper, are not passed off as lite.
        ("paper", {"iterations": 10}, "paper: iterations=10"),
    ],
)
def test_changes_are_told(asked: str, overrides: dict[str, Any], changed: str) -> None:
    assert label(asked, **overrides) == ("custom", changed)


def test_equal_to_the_paper_by_its_rule_over_ipc_only() -> None:
    assert label("paper", ipc=1, iterations=100) == ("paper", "")
    assert label("paper", ipc=2, iterations=100) == ("custom", "paper: iterations=100")


def test_a_profile_that_a_method_lacks_is_the_papers() -> None:
    assert resolve_profile(NoSmoke, "smoke", {}, 5) == resolve_profile(NoSmoke, "paper", {}, 5)
    assert label("smoke", method=NoSmoke) == ("smoke", "")
    assert label("lite", method=NoSmoke) == ("lite", "")
