"""Which published number belongs to a result, and how the two were measured differently."""

from __future__ import annotations

import re

from bench.registry.presentation import NO_DIFFERENCES
from bench.report.published.read import Published
from bench.report.row import Row

_UNDECLARED = "the method does not declare its differences"

Key = tuple[str, str, int | None, str]

# The reference depth at 28x28 and 32x32 pixels is three; sources that say only "ConvNet" mean it.
_SAME_ARCH = {"convnet": "convnet3", "convnetd3": "convnet3", "convnetw128": "convnet3",
              "convnet3layerinstnorm": "convnet3", "convnet3instnorm": "convnet3",
              "convnettm": "convnet3", "convnettmobjective": "convnet3"}  # fmt: skip
# At 64x64 pixels papers add a block (DM, appendix; MTT, section 4).
_LARGER = {"tinyimagenet": "convnet4"}


def match_ours(row: Row) -> Key:
    """Return dataset, method, IPC and architecture of a result of ours, as :func:`match_theirs`."""
    return match_names(row.dataset, row.style.label, row.ipc, row.eval_arch)


def match_names(dataset: str, label: str, ipc: int | None, eval_arch: str) -> Key:
    """Return names of ours, and the label of a method, as :func:`match_theirs`."""
    return _plain(dataset), _plain(label), ipc, _our_arch(eval_arch)


def match_theirs(paper: Published) -> Key:
    """Return dataset, method, IPC and architecture of a published number in plain letters."""
    arch = _their_arch(paper.eval_arch, paper.dataset)
    return _plain(paper.dataset), _plain(paper.method), paper.ipc, arch


def differs(row: Row, paper: Published) -> tuple[str, ...]:
    """Return how our result was made or measured otherwise than the paper's.

    Empty if nothing is known: of the cell, of the method, which declares how it differs from what
    is behind its published numbers, or of this number.
    """
    expected = paper.protocol or row.style.published_protocol
    chosen = paper.selection == row.selection != "last"
    # The best step on the test set is a protocol of its own where a paper's recipe is one.
    expected += "-oracle" if chosen else ""
    named = row.protocol.rsplit("-v", 1)[0]
    theirs = _their_arch(paper.train_arch, paper.dataset)
    differences = (
        (row.profile not in ("paper", "any"), f"profile {row.profile}"),
        (bool(row.changed), row.changed),
        (named != expected, f"protocol {row.protocol}"),
        (row.mode == "frozen", "images frozen"),
        (row.selection != "last" and not chosen, f"selection {row.selection}"),
        (
            row.selection == "last" and paper.selection == "test-oracle",
            "selection last, where theirs may be the best on test",
        ),
        (
            not _is_convnet(row.eval_arch),
            f"evaluated with {row.eval_arch}, where theirs may have another norm or width",
        ),
        (row.precision != "fp32", row.precision),
        (_is_arch(theirs) and row.arch not in ("", theirs), f"distilled with {row.arch}"),
        (bool(row.diverged), row.divergence),
        (bool(row.dataset_note), f"data ({row.dataset_note})"),
        (row.style.published_differences != NO_DIFFERENCES,
         row.style.published_differences or _UNDECLARED),
        (bool(paper.differs), paper.differs),
    )  # fmt: skip
    return tuple(text for holds, text in differences if holds)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _arch(name: str) -> str:
    plain = _plain(name)
    return _SAME_ARCH.get(plain, plain)


def _their_arch(name: str, dataset: str) -> str:
    """Return an architecture of a source; a ConvNet without a depth has that of the image size."""
    if _plain(name) == "convnet" and _plain(dataset) in _LARGER:
        return _LARGER[_plain(dataset)]
    return _arch(name)


def _our_arch(ours: str) -> str:
    """Return our architecture as sources name it, which seldom say more than a ResNet's depth."""
    return _arch(ours) if _is_convnet(ours) else _plain(ours.partition("(")[0])


def _is_convnet(ours: str) -> bool:
    return ours.startswith("convnet")


def _is_arch(plain: str) -> bool:
    return re.fullmatch(r"(convnet|resnet|vgg)\d+|alexnet", plain) is not None
