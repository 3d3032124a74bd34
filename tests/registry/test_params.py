"""Parameters: every type from a string, bounds, unknown names, rules over IPC."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.registry.param_values import former_names, overrides_in_words, resolve
from bench.registry.params import (
    NoParams,
    as_dict,
    by_dataset,
    by_ipc,
    by_task,
    describe,
    nested,
    param,
)
from bench.support.errors import BenchError


def lower_only(name: str) -> None:
    if not name.islower():
        raise BenchError("write it small")


@dataclasses.dataclass(frozen=True)
class Params:
    count: int = param(5, help="a count", min=0)
    rate: float = param(0.5, help="a rate", min=-10, max=10)
    norm: str = param("instance", help="a norm", choices=("instance", "batch", "none"))
    flag: bool = param(False, help="a flag")
    limit: int | None = param(None, help="a limit", min=1)
    sizes: tuple[int, ...] = param((1, 2), help="sizes", min=1, max=9)
    pair: tuple[int, float] = param((1, 0.5), help="a pair")
    steps: int | str = param("auto", help="steps, or auto")
    words: tuple[str, ...] = param((), help="words", choices=("scale", "flip", "color"))
    names: tuple[str, ...] = param((), help="names", check=lower_only)
    loops: int = param(by_ipc(lambda ipc: 1 if ipc == 1 else 50, "1, else 50"), help="loops", min=1)


def made(ipc: int | None = 10, **overrides: Any) -> Any:
    return resolve(Params, overrides, owner="toy", ipc=ipc)


def refused(**overrides: Any) -> str:
    with pytest.raises(BenchError) as caught:
        made(**overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "given_value", "wanted"),
    [
        ("count", "7", 7),
        ("count", "1e3", 1000),
        ("count", "8.0", 8),
        ("count", 8.0, 8),
        ("count", "9007199254740993", 9007199254740993),
        ("count", 2**60 + 1, 2**60 + 1),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("rate", 2, 2.0),
        ("norm", "batch", "batch"),
        ("norm", "none", "none"),
        ("flag", "true", True),
        ("flag", "No", False),
        ("flag", "1", True),
        ("flag", True, True),
        ("limit", "none", None),
        ("limit", "None", None),
        ("limit", None, None),
        ("limit", "3", 3),
        ("sizes", "3", (3,)),
        ("sizes", "3+4", (3, 4)),
        ("sizes", "3:4:5", (3, 4, 5)),
        ("sizes", [3, 4], (3, 4)),
        ("sizes", ("3", 4.0), (3, 4)),
        ("sizes", (), ()),
        ("pair", "2+0.25", (2, 0.25)),
        ("pair", "2+1e+1", (2, 10.0)),
        ("steps", "12", 12),
        ("steps", "auto", "auto"),
        ("words", "scale+flip", ("scale", "flip")),
        ("loops", "3", 3),
    ],
)
def test_values_become_their_type(name: str, given_value: Any, wanted: Any) -> None:
    value = getattr(made(**{name: given_value}), name)
    assert value == wanted
    assert type(value) is type(wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("count", v) for v in ("x", "", "1.5", 1.5, True, None, [1], {}, "inf", "nan")),
        *(("rate", v) for v in ("x", "", True, None, "nan", "inf", "-inf", float("nan"), [1.0])),
        *(("rate", v) for v in (float("inf"), "1e999", 10**400)),
        *(("flag", v) for v in ("maybe", "", 1, 0, None, 1.0)),
        *(("norm", v) for v in (3, None, True, ["batch"])),
        *(("limit", v) for v in ("x", True, "1.5")),
        *(("sizes", v) for v in ("", "1+", "1+x", 3, None, {1: 2}, [None], [True], "1.5")),
        *(("pair", v) for v in ("1", "1+2+3", [1], (1, 2, 3), ())),
        *(("steps", v) for v in (None, True, [1])),
    ],
)
def test_the_wrong_type_is_named_with_its_value(name: str, value: Any) -> None:
    message = refused(**{name: value})
    assert f"toy.{name} = " in message
    assert " is not " in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("count", -1, "too small: it must be at least 0"),
        ("rate", "10.5", "too large: it must be at most 10"),
        ("limit", 0, "too small: it must be at least 1"),
        ("sizes", "3+0", "toy.sizes = 0 is too small"),
        ("sizes", "3+10", "toy.sizes = 10 is too large"),
        ("norm", "layer", "'layer' is not allowed: choose from instance, batch, none"),
        ("words", "scale+crop", "'crop' is not allowed: choose from scale, flip, color"),
        ("loops", 0, "too small"),
        ("norm", "x" * 501, "toy.norm has 501 letters: at most 500 are allowed"),
        ("names", "good+Bad", "toy.names = 'Bad' is not allowed: write it small"),
    ],
)
def test_bounds_and_choices(name: str, value: Any, words: str) -> None:
    assert words in refused(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("count", 0), ("rate", 10), ("rate", -10)])
def test_bounds_are_inclusive(name: str, value: Any) -> None:
    assert getattr(made(**{name: value}), name) == value


def test_an_unknown_name_gets_a_near_miss() -> None:
    message = refused(cuont=3)
    assert "unknown parameter of toy 'cuont'" in message
    assert "Did you mean 'count'?" in message
    assert "unknown parameter of toy 'x'" in str(_caught(NoParams, {"x": 1}))


def test_defaults_follow_ipc_and_overrides_win() -> None:
    assert (made(ipc=1).loops, made(ipc=10).loops) == (1, 50)
    assert made(ipc=10, loops=7).loops == 7


def test_a_rule_over_ipc_needs_one() -> None:
    assert "toy.loops depends on IPC" in str(_caught(Params, {}))
    assert made(ipc=None, loops=2).loops == 2


def test_a_rule_may_look_at_the_dataset() -> None:
    @dataclasses.dataclass(frozen=True)
    class Params:
        n: int = param(by_task(lambda name, ipc: ipc + (5 if name == "mnist" else 0)), help="n")

    values = [resolve(Params, {}, owner="toy", ipc=2, dataset=d).n for d in ("mnist", "svhn", "")]
    assert values == [7, 2, 2]
    assert describe(Params)[0].default == "depends on dataset and IPC"


def test_a_rule_over_datasets_needs_no_ipc() -> None:
    @dataclasses.dataclass(frozen=True)
    class Params:
        n: int = param(by_dataset(lambda name: 5 if name == "mnist" else 1), help="n", max=5)

    values = [resolve(Params, {}, owner="toy", dataset=d).n for d in ("mnist", "svhn", "")]
    assert values == [5, 1, 1]
    assert resolve(Params, {"n": 2}, owner="toy", dataset="mnist").n == 2
    assert describe(Params)[0].default == "depends on the dataset"


def test_a_rule_is_checked_like_any_value() -> None:
    @dataclasses.dataclass(frozen=True)
    class Ruled:
        n: int = param(by_ipc(lambda ipc: ipc - 10), help="n", min=1)

    with pytest.raises(BenchError, match=r"toy.n = 0 is too small"):
        resolve(Ruled, {}, owner="toy", ipc=10)


def test_a_field_without_default_is_the_authors_mistake() -> None:
    @dataclasses.dataclass(frozen=True)
    class Bare:
        n: int

    assert "toy.n has no default" in str(_caught(Bare, {}))
    assert resolve(Bare, {"n": 3}, owner="toy").n == 3


def test_optional_spelt_the_old_way() -> None:
    @dataclasses.dataclass(frozen=True)
    class Old:
        n: Optional[int] = param(3, help="n")  # noqa: UP045

    assert resolve(Old, {"n": "none"}, owner="toy").n is None
    assert resolve(Old, {"n": "4"}, owner="toy").n == 4


def test_as_dict_is_plain_json() -> None:
    assert as_dict(made(sizes="3+4")) == {
        "count": 5, "rate": 0.5, "norm": "instance", "flag": False, "limit": None,
        "sizes": [3, 4], "pair": [1, 0.5], "steps": "auto", "words": [], "names": [],
        "loops": 50,
    }  # fmt: skip
    assert as_dict(NoParams()) == {}


@dataclasses.dataclass(frozen=True)
class Grown:
    count: int = param(5, help="a count")
    rate: float = param(1.0, help="a rate that came later", later=True)


def test_a_later_parameter_at_its_default_is_in_no_identity() -> None:
    """Results that were stored before it was declared keep their identity."""
    before = {"count": 5}
    assert as_dict(Grown()) == before
    assert as_dict(Grown(), whole=True) == {"count": 5, "rate": 1.0}
    assert as_dict(Grown(rate=2.0)) == {"count": 5, "rate": 2.0}
    assert resolve(Grown, before, owner="toy") == Grown()
    assert [info.name for info in describe(Grown)] == ["count", "rate"]


def test_describe_says_what_show_prints() -> None:
    infos = {i.name: i for i in describe(Params)}
    assert list(infos) == [f.name for f in dataclasses.fields(Params)]
    assert infos["loops"].default == "1, else 50"
    assert infos["limit"].type == "int | None"
    assert infos["sizes"].type == "tuple[int, ...]"
    assert (infos["rate"].type, infos["rate"].min, infos["rate"].max) == ("float", -10, 10)
    assert infos["norm"].choices == ("instance", "batch", "none")
    assert [name for name, info in infos.items() if info.checked] == ["names"]
    assert infos["count"].help == "a count"


def test_negative_zero_is_zero() -> None:
    assert repr(made(rate="-0.0").rate) == "0.0"


# An alphabet of its own: the tables of all of Unicode take seconds to build.
TEXTS = st.text("ae1+-.: \\\x1f\u00e9", max_size=5)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(0, 2**200) | st.integers(0, 1000).map(str),
        "rate": st.floats(-10, 10) | st.floats(-10, 10).map(repr),
        "norm": st.sampled_from(["instance", "batch", "none"]),
        "flag": st.booleans() | st.sampled_from(["true", "FALSE", "yes", "no"]),
        "limit": st.none() | st.integers(1) | st.just("none"),
        "sizes": st.lists(st.integers(1, 9), max_size=4),
        "pair": st.tuples(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        "steps": st.integers() | TEXTS,
        "words": st.lists(st.sampled_from(["scale", "flip", "color"]), max_size=3),
        "loops": st.integers(1),
    },
)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.integers(1, 100))
def test_resolving_what_was_resolved_changes_nothing(values: dict[str, Any], ipc: int) -> None:
    once = resolve(Params, values, owner="toy", ipc=ipc)
    again = resolve(Params, as_dict(once), owner="toy", ipc=ipc)
    assert again == once
    assert as_dict(again) == as_dict(once)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_what_a_command_line_types_means_the_same(values: dict[str, Any]) -> None:
    typed = {
        k: "+".join(map(str, v)) if isinstance(v, list | tuple) else str(v)
        for k, v in values.items()
        if v not in ([], ())
    }
    plain = {k: v for k, v in values.items() if k in typed}
    assert resolve(Params, typed, owner="toy", ipc=1) == resolve(Params, plain, owner="toy", ipc=1)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Params)]),
                       st.recursive(st.none() | st.booleans() | st.integers() | st.floats()
                                    | TEXTS, st.lists, max_leaves=4)))  # fmt: skip
def test_anything_resolves_or_is_a_bench_error(values: dict[str, Any]) -> None:
    try:
        params = resolve(Params, values, owner="toy", ipc=3)
    except BenchError as error:
        message = str(error)
    else:
        message = "toy."
        assert resolve(Params, as_dict(params), owner="toy", ipc=3) == params
    assert "toy." in message


def _caught(params_type: type, overrides: dict[str, Any]) -> BenchError:
    with pytest.raises(BenchError) as caught:
        resolve(params_type, overrides, owner="toy")
    return caught.value


class Inner:
    @dataclasses.dataclass(frozen=True)
    class Params:
        width: int = param(8, help="channels", min=1)
        rates: tuple[float, ...] = param((0.1, 0.2), help="rates")


class Outer:
    @dataclasses.dataclass(frozen=True)
    class Params:
        gan: Inner.Params = nested(Inner)
        epochs: int = param(by_ipc(lambda ipc: ipc), help="passes")


def outer(**overrides: Any) -> Any:
    return resolve(Outer.Params, overrides, owner="outer", ipc=3)


@pytest.mark.parametrize(
    "overrides",
    [
        {"gan.width": "48"},
        {"gan_width": 48},
        {"gan": {"width": 48}},
        {"gan": Inner.Params(width=48)},
    ],
)
def test_a_parameter_of_a_group_by_every_name(overrides: dict[str, Any]) -> None:
    params = outer(**overrides)
    assert params == Outer.Params(gan=Inner.Params(width=48), epochs=3)
    assert as_dict(params) == {"gan_width": 48, "gan_rates": [0.1, 0.2], "epochs": 3}
    assert resolve(Outer.Params, as_dict(params), owner="outer") == params


def test_a_group_is_described_by_dotted_names() -> None:
    assert [info.name for info in describe(Outer.Params)] == ["gan.width", "gan.rates", "epochs"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"gan.widht": 1}, r"unknown parameter of outer 'gan\.widht'\. Did you mean 'gan\.width'"),
        ({"gan": {"widht": 1}}, r"'gan\.widht'\. Did you mean 'gan\.width'"),
        ({"gan": 3}, "'gan' is a group of parameters.* as gan.NAME=VALUE"),
        ({"gan.width": 1, "gan_width": 2}, r"outer\.gan\.width is given twice"),
        ({"gan.width": 0}, r"outer\.gan\.width = 0 is too small"),
        ({"gan.width.deep": 0}, "unknown parameter"),
        ({"width": 1}, "unknown parameter of outer 'width'"),
    ],
)
def test_what_is_wrong_with_a_group_is_named(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        outer(**overrides)


def test_former_names_are_known() -> None:
    given = {"gan_width": 1, "epochs": 2, "gan.rates": "1+2"}
    assert former_names(Outer.Params, given) == {"gan_width": "gan.width"}


def test_overrides_are_described_by_dotted_names_and_rules_by_their_text() -> None:
    overrides = {"gan": {"width": by_ipc(lambda ipc: ipc, "as IPC"), "rates": (1.0,)}, "epochs": 2}
    assert overrides_in_words(Outer.Params, overrides) == {
        "gan.width": "as IPC", "gan.rates": (1.0,), "epochs": 2,
    }  # fmt: skip
