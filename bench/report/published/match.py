"""Which published number belongs to a result, and what the two do not have in common."""

from __future__ import annotations

import re

from bench.report.aggregate import Row
from bench.report.published.read import Published

Key = tuple[str, str, int | None, str]

# The reference depth at 28x28 and 32x32 pixels is three; sources that say only "ConvNet" mean it.
_SAME_ARCH = {"convnet": "convnet3", "convnetd3": "convnet3", "convnetw128": "convnet3",
              "convnet3layerinstnorm": "convnet3", "convnet3instnorm": "convnet3",
              "convnettm": "convnet3", "convnettmobjective": "convnet3"}  # fmt: skip
_SAME_METHOD = {"whole": "wholedataset"}
# Which of our protocols follows the one behind a method's published numbers. Two have one of their
# own, which none of ours follows: CAFE 600 epochs without augmentation, IDC CutMix.
_PROTOCOL_OF = {"dim": "dim", "dc": "plain", "cafe": "cafe", "idc": "idc"}
# So has DC on MNIST: an augmentation that is not DSA.
_PROTOCOL_OF_ON = {("dc", "mnist"): "dc-mnist"}
_USUAL_PROTOCOL = "default"
# Their authors print the best of evaluations on the test set.
_BEST_ON_TEST = ("mtt", "dim")
# These list coresets as DC's authors measured them: trained on without augmentation.
_PLAIN_CORESETS = ("random", "herding", "k-center", "forgetting")
_PLAIN_TABLES = ("AutoPalette", "NCFM", "DataDAM")


def match_ours(row: Row) -> Key:
    """Return the dataset, method, IPC and judge of one of our results, as :func:`match_theirs`."""
    method = _SAME_METHOD.get(row.method, _plain(row.method))
    return _plain(row.dataset), method, row.ipc, _judge(row.eval_arch)


def match_theirs(paper: Published) -> Key:
    """Return the dataset, method, IPC and judge of a published number, however it is written."""
    return _plain(paper.dataset), _plain(paper.method), paper.ipc, _arch(paper.eval_arch)


def differs(row: Row, paper: Published) -> tuple[str, ...]:
    """Return what keeps our result from being a reproduction of the paper's."""
    expected = _expected_protocol(row, paper)
    named = row.protocol.rsplit("-v", 1)[0]
    theirs = _arch(paper.train_arch)
    told = (
        (row.profile not in ("paper", "any"), f"profile {row.profile}"),
        (bool(row.changed), row.changed),
        (named != expected, f"protocol {row.protocol}"),
        (row.mode == "frozen", "images frozen"),
        (row.selection != "last", f"selection {row.selection}"),
        (
            row.selection == "last" and row.method in _BEST_ON_TEST,
            "selection last, where theirs may be the best on test",
        ),
        (
            not _is_convnet(row.eval_arch),
            f"judge {row.eval_arch}, where theirs may have another norm or width",
        ),
        (row.precision != "fp32", row.precision),
        (_is_arch(theirs) and row.arch not in ("", theirs), f"distilled with {row.arch}"),
        (bool(row.dataset_note), f"data ({row.dataset_note})"),
    )
    return tuple(text for holds, text in told if holds)


def _expected_protocol(row: Row, paper: Published) -> str:
    listed = any(table in paper.reported_in for table in _PLAIN_TABLES)
    if listed and row.method in _PLAIN_CORESETS:
        return "plain"
    usual = _PROTOCOL_OF.get(row.method, _USUAL_PROTOCOL)
    return _PROTOCOL_OF_ON.get((row.method, row.dataset), usual)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _arch(name: str) -> str:
    plain = _plain(name)
    return _SAME_ARCH.get(plain, plain)


def _judge(ours: str) -> str:
    """Return what stands for our judge in sources, which seldom say more than a ResNet's depth."""
    return _arch(ours) if _is_convnet(ours) else _plain(ours.partition("(")[0])


def _is_convnet(ours: str) -> bool:
    return ours.startswith("convnet")


def _is_arch(plain: str) -> bool:
    return re.fullmatch(r"(convnet|resnet|vgg)\d+|alexnet", plain) is not None
