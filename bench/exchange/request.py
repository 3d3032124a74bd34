"""What a user asks of a foreign set: where it is, how to read it, how to evaluate it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.evaluation.protocols import Protocol, get_protocol
from bench.exchange.given import HUB, ORDERS, Given
from bench.exchange.hub_name import HubName
from bench.grid.option import check_options, option
from bench.grid.request import MODES, STORED_AS
from bench.ledger.cell import AS_MADE
from bench.networks.precision import PRECISIONS
from bench.registry.registry import METHODS
from bench.support.errors import BenchError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")


@dataclass(frozen=True)
class ImportRequest:
    """The options of ``bench evaluate``."""

    dataset: str = option("--dataset", "The dataset that the set distils.", short="-d")
    name: str | None = option(
        "--name", "What tables call the set.", default=None, otherwise="from the file's name"
    )
    ipc: int | None = option(
        "--ipc", "Images per class; a generator needs it, a stored set has its own.",
        default=None, min=1, label="IPC",
    )  # fmt: skip
    eval_archs: Sequence[str] = option(
        "--eval-arch", "Networks to evaluate with.", default=("convnet3",)
    )
    protocol: str = option(
        "--protocol",
        "How networks are trained and tested: `bench list protocols`.",
        default="default",
    )
    modes: Sequence[str] = option(
        "--mode", "For generators: stream,frozen.", default=(), otherwise="both", choices=MODES
    )
    seeds: int | None = option(
        "--seeds", "Sets to evaluate, of a file with several experiments.", default=None,
        otherwise="all", min=1,
    )  # fmt: skip
    eval_nets: int | None = option(
        "--eval-nets", "Networks to train on each set.", default=None,
        otherwise="the protocol's", min=1, max=10_000,
    )  # fmt: skip
    stored_as: Sequence[str] = option(
        "--stored-as", "Evaluate with the images stored so: made (as they are), float16 or uint8; "
        "bytes count as stored.", default=(AS_MADE,), choices=STORED_AS,
    )  # fmt: skip
    precision: str = option(
        "--precision",
        "How networks compute: fp32 or bf16; on a GPU also tf32.",
        default="fp32",
        choices=PRECISIONS,
    )
    normalisation: str | None = option(
        "--normalisation",
        "The images' units: bytes, pixels, dataset, half, imagenet, zca, or MEAN/STD.",
        default=None, otherwise="detected",
    )  # fmt: skip
    zca: str | None = option(
        "--zca", "Whether the images are ZCA-whitened: yes or no.", default=None,
        choices=("yes", "no"), otherwise="detected",
    )  # fmt: skip
    channels: str | None = option(
        "--channels", "The order of the images' colours: rgb, or bgr as OpenCV has them.",
        default=None, choices=ORDERS, otherwise="rgb, compared with the dataset's",
    )  # fmt: skip
    learning_rate: float | None = option(
        "--lr", "The learning rate that belongs to the set.", default=None, min=0, above_min=True,
        otherwise="the set's, else the protocol's",
    )  # fmt: skip
    epochs: int | None = option(
        "--epochs", "Epochs to train on the set.", default=None, min=1, otherwise="the protocol's"
    )
    temperature: float | None = option(
        "--temperature", "Match soft labels by KL divergence at this temperature.", default=None,
        min=0, above_min=True, otherwise="cross-entropy",
    )  # fmt: skip
    factor: int | None = option(
        "--factor", "Parts along each side of an image, of IDC's factored sets.", default=None,
        min=1, otherwise="1",
    )  # fmt: skip
    image_column: str | None = option(
        "--image-column",
        "Where a Hugging Face dataset has images.",
        default=None,
        otherwise="found by name",
    )
    label_column: str | None = option(
        "--label-column",
        "Where a Hugging Face dataset has labels.",
        default=None,
        otherwise="found by name",
    )

    def check(self) -> None:
        """Check everything that needs neither the source nor the dataset.

        Raises:
            BenchError: naming the value that is wrong and what is allowed.
        """
        get_protocol(self.protocol)
        check_options(self)
        if self.name is not None:
            check_name(self.name)

    @property
    def chosen_protocol(self) -> Protocol:
        """Return the protocol that is named."""
        return get_protocol(self.protocol)

    @property
    def given(self) -> Given:
        """Return what the user says of how the set is stored."""
        zca = None if self.zca is None else self.zca == "yes"
        return Given(
            self.normalisation, zca, self.learning_rate, self.factor, self.temperature,
            self.epochs, self.channels,
        )  # fmt: skip


def check_name(name: str) -> None:
    """Raise ``BenchError`` for a name that tables cannot use or that a method has."""
    if _NAME.fullmatch(name) is None:
        raise BenchError(
            f"--name '{name}' is not allowed: use letters, digits and _.+-, at most 64 of them"
        )
    if name in METHODS.names():
        raise BenchError(
            f"--name '{name}' is a registered method, whose results it must not mix with: "
            f"choose another, for instance {name}-released"
        )


def default_name(source: str) -> str:
    """Return a name made from a source: its last part, without what names cannot hold.

    Raises:
        BenchError: it is on the hub, and no name of a dataset there.
    """
    path = Path(source)
    stem = path.stem if path.suffix else path.name
    if source.startswith(HUB):
        stem = "-".join(HubName.parse(source.removeprefix(HUB)).parts)
    elif stem in ("images_best", "images", "data", "artefact") and path.resolve().parent.name:
        stem = f"{path.resolve().parent.name}-{stem}"
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "-", stem).strip("-._+")[:56] or "imported"
    return f"{name}-imported" if name in METHODS.names() else name
