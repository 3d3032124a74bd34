"""Packages of extras: imported, or named with what installs them."""

from __future__ import annotations

import sys

import pytest

from bench.support.errors import BenchError
from bench.support.extras import import_extra


def test_an_installed_package_is_imported() -> None:
    assert import_extra("json", "none", "a test") is sys.modules["json"]


def test_an_absent_package_is_named_with_its_extra() -> None:
    says = r"a test needs the package nowhere_1: pip install 'distillation-bench\[rare\]'"
    with pytest.raises(BenchError, match=says):
        import_extra("nowhere_1", "rare", "a test")
