"""Protocols: names, immutability and the learning-rate schedule."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from bench.distillation.profiles import PROFILES
from bench.evaluation.protocols import PROTOCOLS, get_protocol
from bench.grid.request import Request
from bench.registry.presentation import declared_by
from bench.registry.registry import METHODS
from bench.support.errors import UnknownNameError


def test_released_recipes_keep_their_values():
    released = {
        p.label: (
            p.epochs,
            p.nets,
            p.lr,
            p.batch_size,
            p.milestones,
            p.gamma,
            p.augment,
            p.augment_mode,
        )
        for p in PROTOCOLS.values()
    }
    dsa = "color_crop_cutout_flip_scale_rotate"
    assert released == {
        "default-v1": (1000, 5, 0.01, 256, (0.5,), 0.1, dsa, "single"),
        "plain-v1": (300, 5, 0.01, 256, (0.5,), 0.1, "", "single"),
        "quick-v1": (300, 2, 0.01, 256, (0.5,), 0.1, dsa, "single"),
        "smoke-v1": (40, 2, 0.01, 256, (0.5,), 0.1, dsa, "single"),
        "dim-v1": (1000, 5, 0.01, 128, (), 1.0, "color_crop", "all"),
        "dim-oracle-v1": (1000, 5, 0.01, 128, (), 1.0, "color_crop", "all"),
        "dim-by-class-v1": (1000, 5, 0.01, None, (), 1.0, "color_crop", "all"),
    }  # fmt: skip
    assert {(p.momentum, p.weight_decay) for p in PROTOCOLS.values()} == {(0.9, 5e-4)}
    selections = {p.name: (p.selection, p.test_every) for p in PROTOCOLS.values()}
    assert selections.pop("dim-oracle") == ("test-oracle", 200)
    assert set(selections.values()) == {("last", None)}


def test_name_is_the_key_and_a_protocol_cannot_be_changed():
    assert all(name == p.name for name, p in PROTOCOLS.items())
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_protocol("default").epochs = 1


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(
        UnknownNameError, match=r"unknown protocol 'defualt'\. Did you mean 'default'"
    ):
        get_protocol("defualt")


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.02), (499, 0.02), (500, 0.002), (999, 0.002)]
)
def test_rate_falls_at_half(epoch, expected):
    assert get_protocol("default").rate(epoch, 1000, 0.02) == pytest.approx(expected)


def test_rate_with_odd_epochs_and_several_milestones():
    protocol = dataclasses.replace(get_protocol("plain"), milestones=(0.5, 0.8), gamma=0.5)
    rates = [protocol.rate(e, 5, 1.0) for e in range(5)]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.25]


def test_constant_rate_of_dim():
    assert {get_protocol("dim").rate(e, 1000, 0.01) for e in (0, 500, 999)} == {0.01}


def test_the_oracle_looks_after_every_200th_epoch_and_never_twice_after_the_last():
    protocol = get_protocol("dim-oracle")
    looks = [epoch for epoch in range(1, 1001) if protocol.looks_after(epoch, 1000)]
    assert looks == [200, 400, 600, 800]
    assert not any(get_protocol("dim").looks_after(epoch, 1000) for epoch in range(1, 1001))


def test_the_oracle_is_chosen_by_name_only():
    """It selects on the test set, so that no method and no profile may evaluate so unasked."""
    defaults = {declared_by(name).published_protocol for name in METHODS.names()}
    assert "dim" in defaults
    assert "dim-oracle" not in defaults
    for profile in PROFILES:
        request = Request(methods=("dim",), datasets=("digits",), ipcs=(1,), profile=profile)
        assert request.chosen_protocol().selection == "last"


def test_importing_protocols_does_not_import_torch():
    code = "import sys, bench.evaluation.protocols; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
