"""Every registered method passes every check of the conformance suite."""

from __future__ import annotations

import pytest

from bench.conformance import MethodCheck, method_checks
from bench.registry import METHODS


@pytest.mark.parametrize("check", method_checks(), ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", METHODS.names())
def test_conformance(name: str, check: MethodCheck) -> None:
    check(METHODS.get(name))
