"""The request: what a user asks for, as values that are checked before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.distillation.profiles import PROFILE_PROTOCOL, check_profile
from bench.evaluation.protocols import Protocol, get_protocol
from bench.grid.option import check_options, option
from bench.ledger.cell import AS_MADE
from bench.networks.precision import PRECISIONS
from bench.registry.registry import METHODS
from bench.support.errors import BenchError, unknown_message
from bench.support.untrusted import Limit

# Ways to evaluate a generator; an image set has one way only.
MODES = ("stream", "frozen")
# How images can be stored before they are trained on.
STORED_AS = (AS_MADE, "float16", "uint8")


@dataclass(frozen=True)
class Request:
    """What a user asks for: every combination of its lists, distilled and evaluated."""

    # Empty unless given: the check then says what there is to name.
    methods: Sequence[str] = option(
        "--method", "Methods, e.g. random,dm,dim; or all.", default=(), short="-m"
    )
    datasets: Sequence[str] = option(
        "--dataset", "Datasets, e.g. digits,mnist.", default=(), short="-d"
    )
    ipcs: Sequence[int] = option(
        "--ipc", "Images per class.", default=(1, 10, 50), min=1, label="IPC"
    )
    archs: Sequence[str] = option("--arch", "Networks to distil with.", default=("convnet3",))
    eval_archs: Sequence[str] = option(
        "--eval-arch", "Networks to evaluate with.", default=(), otherwise="as --arch"
    )
    protocol: str | None = option(
        "--protocol",
        "How networks are trained and tested: `bench list protocols`.",
        default=None,
        otherwise="the profile's",
    )
    modes: Sequence[str] = option(
        "--mode",
        "For generators: stream (other images in every epoch), frozen (IPC per class).",
        default=(),
        otherwise="both",
        choices=MODES,
    )
    seeds: int = option(
        "--seeds",
        "Distilled sets of each kind, with other random numbers.",
        default=1,
        min=1,
        max=Limit.SEEDS,
    )
    eval_nets: int | None = option(
        "--eval-nets", "Networks to train on each distilled set.", default=None,
        otherwise="the protocol's", min=1, max=Limit.NETS,
    )  # fmt: skip
    profile: str = option(
        "--profile",
        "Parameters: paper (as published), day (hours; of generators), lite (minutes) or "
        "smoke (seconds).",
        default="paper",
    )
    overrides: Mapping[str, Mapping[str, Any]] = option(
        "--set", "Set a method's parameter; repeatable.", default_factory=dict,
        metavar="METHOD.KEY=VALUE",
    )  # fmt: skip
    stored_as: Sequence[str] = option(
        "--stored-as", "Evaluate with the images stored so: made (as the method makes them), "
        "float16 or uint8; bytes count as stored.", default=(AS_MADE,), choices=STORED_AS,
    )  # fmt: skip
    evaluate_at: Sequence[int] = option(
        "--evaluate-at", "Evaluate the sets also as they are after these percentages of the "
        "steps of their distillation, e.g. 25,50,75 (bench plot learning).", default=(),
        min=1, max=99, label="percentage",
    )  # fmt: skip
    precision: str = option(
        "--precision",
        "How networks compute: fp32 or bf16; on a GPU also tf32.",
        default="fp32",
        choices=PRECISIONS,
    )

    def check(self) -> None:
        """Check everything that needs no dataset.

        Raises:
            BenchError: naming the value that is wrong and what is allowed.
        """
        self._check_not_empty()
        for name in self.methods:
            METHODS.entry(name)
        check_profile(self.profile)
        self.chosen_protocol()
        check_options(self)
        if len(set(self.evaluate_at)) > Limit.PERCENTAGES:
            raise BenchError(
                f"--evaluate-at names {len(set(self.evaluate_at))} percentages: "
                f"at most {Limit.PERCENTAGES} are allowed"
            )
        for name in self.overrides:
            if name not in self.methods:
                raise BenchError(unknown_message("method in --set", name, self.methods))

    def chosen_protocol(self) -> Protocol:
        """Return the protocol that is named, or else the profile's."""
        return get_protocol(self.protocol or PROFILE_PROTOCOL[self.profile])

    def _check_not_empty(self) -> None:
        if not self.methods:
            raise BenchError(f"name at least one --method: {', '.join(METHODS.names())}, or all")
        if not self.datasets:
            raise BenchError("name at least one --dataset; `bench list datasets` shows what exists")


@dataclass(frozen=True)
class Reuse:
    """What a user says of results that the store holds, or that another run is computing."""

    keep_cached: bool = option(
        "--keep-cached", "Keep results of plugins whose code has changed since.", default=False
    )
    recompute: Sequence[str] = option(
        "--recompute", "Compute this method's cells again, and what depends on them; repeatable.",
        default=(), metavar="METHOD",
    )  # fmt: skip
    no_wait: bool = option(
        "--no-wait", "Do not wait for cells that another run is computing; exit code 1 then.",
        default=False,
    )  # fmt: skip
