"""A saved request becomes a run again, and nothing that no run leaves does."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from bench.grid.request import Request
from bench.grid.saved_request import reopen_request
from bench.grid.site import Site
from bench.ledger.requests import RequestedCell, SavedRequest
from bench.support.errors import BenchError


def saved(**changes: Any) -> SavedRequest:
    site = asdict(Site("store", "data", command="bench run"))
    request = asdict(Request(["random"], ["digits"], [1]))
    spec = json.loads(json.dumps({**site, "request": request}))
    cells = (RequestedCell("d1", "distil", "random", "digits", "random", None, None),)
    return SavedRequest({**spec, **changes}, cells, "2026-01-01")


def test_a_request_is_rebuilt_without_its_plugins() -> None:
    asked = saved(plugins=["/evil.py"], threads=2)
    request, site = reopen_request(asked, store="here")
    assert (site.store, site.plugins, site.threads) == ("here", (), 2)
    assert request == Request(
        **{**saved().spec["request"], "methods": ["random"], "datasets": ["digits"]}
    )
    assert reopen_request(asked, plugins=("mine.py",))[1].plugins == ("mine.py",)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seeds", 10**12, "seeds"),
        ("seeds", "2", "seeds"),
        ("methods", "random", "methods"),
        ("archs", [3], "archs"),
        ("ipcs", [1.5], "ipcs"),
        ("overrides", {"dm": 3}, "overrides"),
        ("unheard", 3, "unheard"),
    ],
)
def test_what_no_run_leaves_is_refused(field: str, value: Any, words: str) -> None:
    request = {**saved().spec["request"], field: value}
    with pytest.raises(BenchError, match=f"cannot be run again: .*{words}"):
        reopen_request(saved(request=request))


@pytest.mark.parametrize(
    ("field", "value"),
    [("checkpoint_every", -1), ("checkpoint_every", "x"), ("threads", "all"), ("device", None),
     ("deterministic", 1), ("store", 3), ("command", None), ("new", 1)],
)  # fmt: skip
def test_surroundings_that_no_run_leaves_are_refused(field: str, value: Any) -> None:
    with pytest.raises(BenchError, match="cannot be run again"):
        reopen_request(saved(**{field: value}))
