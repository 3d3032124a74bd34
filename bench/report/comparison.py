"""Our results beside the papers': what may be compared, the difference, and what it hides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from bench.report.aggregate import Row
from bench.report.looks import look
from bench.report.published import Published
from bench.report.sheet import Section, make_sheet
from bench.report.text import as_printed, ipc_name, percent, signed

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
# These list coresets as DC's authors measured them: trained on without augmentation.
_PLAIN_CORESETS = ("random", "herding", "k-center", "forgetting")
_PLAIN_TABLES = ("AutoPalette", "NCFM", "DataDAM")
# A difference of more standard errors than this is marked.
_FAR = 3.0
_COLUMNS = (
    ("Method", False), ("Mode", False), ("IPC", True), ("Profile", False), ("Protocol", False),
    ("Ours (%)", True), ("Paper (%)", True), ("Ours − paper", True), ("Source", True),
    ("We differ in", False),
)  # fmt: skip
_TITLE = "Beside published numbers"
_LEAD = (
    "Each source keeps its row and none is averaged. A difference with anything in the last column "
    "is no verdict on a reproduction."
)


@dataclass(frozen=True)
class Comparison:
    """One of our results and one published number for the same setting.

    Attributes:
        row: ours.
        paper: theirs.
        differs: what our result did otherwise; empty if nothing is known to differ.
    """

    row: Row
    paper: Published
    differs: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Ours minus theirs, in percentage points."""
        return self.row.mean - self.paper.accuracy

    @property
    def standard_errors(self) -> float | None:
        """How many standard errors the two lie apart; ``None`` if ours is of a single network.

        Ours is :func:`standard_error`. The paper's ± counts as one of its, which is generous: few
        say over how many networks it ranges, or give one at all.
        """
        ours = standard_error(self.row)
        if ours is None:
            return None
        both = math.hypot(ours, self.paper.std or 0.0)
        return abs(self.difference) / both if both else math.inf

    @property
    def is_far(self) -> bool:
        """Whether the two lie more than three standard errors apart."""
        apart = self.standard_errors
        return apart is not None and apart > _FAR and self.difference != 0


def standard_error(row: Row) -> float | None:
    """Return the standard error of a result's mean, in percentage points; ``None`` of one network.

    The larger of two: that of the networks, pooled, and that of the seeds' means. Networks that
    share a distilled set say nothing of how much distilled sets vary.
    """
    if row.std is None:
        return None
    found = row.std / math.sqrt(row.n)
    if row.seeds > 1 and row.n % row.seeds == 0:
        each = row.n // row.seeds
        means = [fmean(row.accuracies[i : i + each]) for i in range(0, row.n, each)]
        found = max(found, stdev(means) / math.sqrt(row.seeds))
    return found


def compare(rows: Iterable[Row], numbers: Sequence[Published]) -> list[Comparison]:
    """Pair each result with every published number of its dataset, method, IPC and judge."""
    index: dict[tuple[str, str, int | None, str], list[Published]] = {}
    for number in numbers:
        key = (_plain(number.dataset), _plain(number.method), number.ipc, _arch(number.eval_arch))
        index.setdefault(key, []).append(number)
    pairs = []
    for row in rows:
        method = _SAME_METHOD.get(row.method, _plain(row.method))
        key = (_plain(row.dataset), method, row.ipc, _arch(row.eval_arch))
        pairs += [Comparison(row, paper, differs(row, paper)) for paper in index.get(key, [])]
    return pairs


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


def comparison_sections(pairs: Sequence[Comparison]) -> list[Section]:
    """Return the papers' numbers beside ours, a section per dataset and judge."""
    if not pairs:
        return [Section(_TITLE, "No published number has the same dataset, method, IPC and judge.")]
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for pair in pairs:
        groups.setdefault((pair.row.dataset, pair.row.eval_arch), []).append(pair)
    return [_section(*where, members) for where, members in groups.items()]


def _section(dataset: str, judge: str, pairs: Sequence[Comparison]) -> Section:
    sources = list(dict.fromkeys(_source(pair.paper) for pair in pairs))
    body = [
        (
            look(pair.row.method).label, pair.row.mode, ipc_name(pair.row.ipc), pair.row.profile,
            pair.row.protocol, percent(pair.row.mean, pair.row.std),
            as_printed(pair.paper.accuracy, pair.paper.std),
            signed(pair.difference) + (" ‡" if pair.is_far else ""),
            f"({sources.index(_source(pair.paper)) + 1})", "; ".join(pair.differs),
        )
        for pair in pairs
    ]  # fmt: skip
    return Section(
        f"{_TITLE}: {dataset}, judged with {judge}",
        _LEAD,
        (make_sheet("Ours and theirs", _COLUMNS, body),),
        [*(f"({i}) {source}." for i, source in enumerate(sources, start=1)), *_far_notes(pairs)],
    )


def _far_notes(pairs: Sequence[Comparison]) -> list[str]:
    """Explain the marked differences, and call those a defect that nothing explains."""
    far = [pair for pair in pairs if pair.is_far]
    if not far:
        return []
    notes = [
        "‡ More than three standard errors apart: of ours, over seeds or networks, whichever is "
        "larger; the paper's ± counts as one. What may explain it stands in the last column."
    ]
    bare = [pair for pair in far if not pair.differs]
    if bare:
        named = (f"{look(p.row.method).label} at IPC {ipc_name(p.row.ipc)}" for p in bare)
        notes.append(f"Nothing explains {', '.join(dict.fromkeys(named))}: a defect, until it is.")
    return notes


def _source(paper: Published) -> str:
    parts = (f"{paper.reported_in}, judged with {paper.eval_arch}", paper.source,
             paper.protocol_note)  # fmt: skip
    return "; ".join(part for part in parts if part)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _arch(name: str) -> str:
    plain = _plain(name)
    return _SAME_ARCH.get(plain, plain)


def _is_arch(plain: str) -> bool:
    return re.fullmatch(r"(convnet|resnet|vgg)\d+|alexnet", plain) is not None
