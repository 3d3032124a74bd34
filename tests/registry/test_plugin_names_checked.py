"""What a plugin declares wrongly is named when it is registered or described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench.plugin import SelectionMethod, param, register
from bench.registry.params import describe
from bench.support.errors import BenchError


def test_a_name_that_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(BenchError, match=r"method name 'a,b/\.\./c' cannot be asked for"):

        @register("method")
        class Evil(SelectionMethod[Any]):
            """Has a name of two methods."""

            name = "a,b/../c"


@pytest.mark.parametrize(("bound", "value"), [("max", "x"), ("min", "0"), ("max", True)])
def test_a_bound_that_is_no_number_names_its_parameter(bound: str, value: object) -> None:
    @dataclass(frozen=True)
    class Params:
        rate: float = param(0.1, help="of learning", **{bound: value})  # type: ignore[arg-type]

    with pytest.raises(BenchError, match=rf"'rate' of .*Params: {bound} must be a number"):
        describe(Params)
