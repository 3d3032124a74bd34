"""The network that a foreign set was made with, and whether those that evaluate it are alike.

Pixels do not show which norm layer a set was learned with, and with another one it reaches far
lower accuracies. So what a file, its name or its layout says of the network is stated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.datasets.spec import DatasetSpec
from bench.exchange.findings import Findings
from bench.networks.architecture import canonical_name
from bench.networks.norm_layers import norm_of
from bench.support.errors import BenchError
from bench.support.untrusted import open_plain

# The norm of networks in get_network() of VICO-UoE/DatasetCondensation, whose names MTT, DATM and
# DC-BENCH use: by the end of the name, else by its beginning.
_ENDS = {"NN": "no", "BN": "batch", "LN": "layer", "IN": "instance", "GN": "group"}
_BEGINNINGS = {"ConvNet": "instance", "VGG11": "instance", "ResNet18": "instance", "LeNet": "no",
               "AlexNet": "no", "MLP": "no"}  # fmt: skip
_VICO_FILE = re.compile(r"res_[^_]+_[^_]+_(?P<network>\w+)_\d+ipc")
# The folder in which IDC saves a set: conv3in_grad_..., resnet10apin_...; it says "in" or nothing.
_IDC_FOLDER = re.compile(r"(?P<network>(?:conv|resnet)\d+(?:ap)?)in(?:_|$)")
# MTT and DATM: of the best step, of a step, or a part of a large one.
_MTT_FILE = re.compile(r"images_(best|(zca_)?\d+)(_\d+)?\.pth?")
# Keys of a file, or of the arguments in it, that name a network and its norm.
_NETWORKS = ("model", "net", "network", "arch", "net_type")
_NORMS = ("norm", "net_norm", "norm_type")
_ARGUMENTS = ("args", "config", "opt")
# Letters of a name that a file may show.
_LONGEST = 80
# Bytes of a card that are read: its header comes first.
_LONGEST_CARD = 16_384


@dataclass(frozen=True)
class MadeWith:
    """The network that a set was made with.

    Attributes:
        network: its name, as the source has it.
        norm: as :func:`bench.networks.norm_layers.norm_of` says it; ``None`` if it is not known.
        how: where that is known from.
    """

    network: str
    norm: str | None
    how: str

    def __str__(self) -> str:
        norm = "" if self.norm is None else f", {self.norm} norm"
        return f"{self.network}{norm} ({self.how})"


def named_in_file(path: Path) -> MadeWith | None:
    """Return the network that the name of a file, or of its folder, tells."""
    match = _VICO_FILE.match(path.name)
    if match is not None:
        return MadeWith(match["network"], _norm_of_name(match["network"]), "the file's name")
    match = _IDC_FOLDER.match(path.resolve().parent.name)
    return None if match is None else MadeWith(match["network"], "instance", "the folder's name")


def said_in(values: Mapping[Any, Any]) -> MadeWith | None:
    """Return the network that a file names beside its images, or in the arguments that it holds."""
    for table in (values, *(values.get(name) for name in _ARGUMENTS)):
        if not isinstance(table, Mapping):
            continue
        network = next((table[n] for n in _NETWORKS if isinstance(table.get(n), str)), None)
        norm = next((table[n] for n in _NORMS if isinstance(table.get(n), str)), None)
        if network is not None or norm is not None:
            known = _norm_of_name(network or "") if norm is None else _norm_of_word(norm)
            name = (network or "a network")[:_LONGEST]
            return MadeWith(name, known, "said in the file")
    return None


def usual_for(path: Path) -> MadeWith | None:
    """Return the network that code which calls a file of images so uses by default."""
    if _MTT_FILE.fullmatch(path.name) is None:
        return None
    return MadeWith("ConvNet", _norm_of_name("ConvNet"), "the default of MTT and DATM")


def of_bench(cell: Any, spec: DatasetSpec) -> MadeWith | None:
    """Return the network of a cell, from the header of a file that bench wrote."""
    arch = cell.get("arch") if isinstance(cell, Mapping) else None
    return _ours(arch, spec, "said in the file") if isinstance(arch, str) else None


def in_card(path: Path, spec: DatasetSpec) -> MadeWith | None:
    """Return the network that the card of an export names, which lies in or beside what it is of.

    Args:
        path: of the set, a file or a folder.
        spec: the dataset.
    """
    for folder in (path, path.parent):
        header = _header(folder / "README.md")
        arch, name = header.get("distilled_with"), header.get("pretty_name")
        if isinstance(arch, str) and (folder == path or name == path.stem):
            return _ours(arch, spec, "said in its card")
    return None


def _header(card: Path) -> dict[str, Any]:
    """Return what the header of a card says, as bench writes it: a line of JSON for each name."""
    facts = dict[str, Any]()
    with suppress(OSError, ValueError), open_plain(card) as file:
        lines = file.read(_LONGEST_CARD).decode("utf-8", "replace").splitlines()
        end = lines.index("---", 1) if lines[:1] == ["---"] else 0
        for name, _, value in (line.partition(": ") for line in lines[1:end]):
            with suppress(ValueError, RecursionError):
                facts[name] = json.loads(value)
    return facts


def _ours(arch: str, spec: DatasetSpec, how: str) -> MadeWith:
    norm = None
    with suppress(BenchError):  # of a plugin that is not loaded here
        norm = norm_of(arch, spec)
    return MadeWith(arch[:_LONGEST], norm, how)


def compare_networks(
    made_with: MadeWith | None, archs: Sequence[str], spec: DatasetSpec
) -> Findings:
    """State the norm layers of the networks that evaluate a set; warn where they are others.

    Args:
        made_with: what the set was made with, if that is known.
        archs: the networks that evaluate it.
        spec: the dataset.
    """
    findings, norms = Findings(), dict[str, str]()
    for arch in archs:
        with suppress(BenchError):  # too small images, for instance: its cells say so
            norms[arch] = norm_of(arch, spec)
    if norms:
        listing = ", ".join(f"{arch}: {norm} norm" for arch, norm in norms.items())
        findings.state("evaluated with", listing)
    own = None if made_with is None else made_with.norm
    others = {arch: norm for arch, norm in norms.items() if norm != own}
    if own is not None and others:
        listing = ", ".join(f"{arch} ({norm} norm)" for arch, norm in others.items())
        alike = next(filter(None, (_with_norm(arch, own) for arch in others)), None)
        hint = "" if alike is None else f"; `--eval-arch '{alike}'` has that norm"
        findings.warn(
            f"the set was made with {made_with}, and is evaluated with {listing}: with another "
            f"norm layer it can reach far lower accuracies than its authors report{hint}"
        )
    return findings


def _with_norm(arch: str, norm: str) -> str | None:
    """Return an architecture with another norm; ``None`` if it has none of that kind."""
    member, _, rest = canonical_name(arch).partition("(")
    kept = [part for part in rest.rstrip(")").split(",") if part and not part.startswith("norm=")]
    kind = "none" if norm == "no" else norm
    with suppress(BenchError):
        return canonical_name(f"{member}({','.join([*kept, f'norm={kind}'])})")
    return None


def _norm_of_name(network: str) -> str | None:
    end = re.search(r"(NN|BN|LN|IN|GN)(_AP)?$", network)
    if end is not None:
        return _ENDS[end[1]]
    return next((norm for name, norm in _BEGINNINGS.items() if network.startswith(name)), None)


def _norm_of_word(word: str) -> str | None:
    """Return the kind that a setting such as ``instancenorm`` or ``batch`` names."""
    kind = word.lower().removesuffix("norm").rstrip("_- ")
    return "no" if kind == "none" else kind if kind in _ENDS.values() else None
