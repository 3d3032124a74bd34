"""A paper's table as LaTeX; it needs ``booktabs``, ``graphicx`` and ``longtable``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.latex import escape
from bench.report.paper.model import Entry, Heading, Kind, PaperTable, State, span
from bench.report.paper.texts import cited_keys, replace_citations

_HEAD = (
    "% Written by bench; needs \\usepackage{booktabs,graphicx,longtable}, and the entries of\n"
    "% `bench published --format bib` for its citations."
)
# More columns than this do not fit a page in the text's size: the table is scaled down.
_PAGE_COLUMNS = 7
# Of more lines than this, a table goes over several pages.
_PAGE_LINES = 45
# Notes of more letters stand below the float, in text that may break over pages.
_FLOAT_LETTERS = 2000
_FONTS = {1: r"\textbf", 2: r"\underline"}


def to_latex(tables: Sequence[PaperTable]) -> str:
    """Return a ``table`` environment for each table."""
    return "\n\n".join([_HEAD, *map(_table, tables)]) + "\n"


def document(tables: Sequence[PaperTable], bibliography: str = "") -> str:
    """Return a whole document that shows tables, to compile with pdflatex.

    Args:
        tables: the tables; each stands on a landscape page of its own.
        bibliography: the name of a file of BibTeX without its ending; empty for none.
    """
    cites = any(map(cited_keys, tables))
    lines = [
        r"\documentclass[a4paper,landscape]{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[margin=15mm]{geometry}",
        r"\usepackage{booktabs,graphicx,longtable,url}",
        r"\begin{document}",
        *(f"{_table(table)}\n\\clearpage" for table in tables),
    ]
    if bibliography and cites:
        lines += [r"\bibliographystyle{plain}", rf"\bibliography{{{bibliography}}}"]
    return "\n".join([*lines, r"\end{document}", ""])


def _table(table: PaperTable) -> str:
    columns = "l" * len(table.rows.names) + "c" * len(table.columns.headings)
    caption = rf"\caption{{{escape(table.caption)}.}}\label{{tab:{table.name}}}"
    notes = "\\\\\n".join(_note(note.mark, note.text) for note in table.notes)
    if len(table.rows.headings) > _PAGE_LINES:
        return "\n".join(
            [
                r"{\scriptsize\setlength{\tabcolsep}{3pt}",
                rf"\begin{{longtable}}{{{columns}}}", caption + r"\\",
                r"\toprule", *_header(table), r"\midrule\endhead", r"\bottomrule\endfoot",
                *_lines(table), r"\end{longtable}", rf"\raggedright {notes}\par}}",
            ]
        )  # fmt: skip
    body = [
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *_header(table), r"\midrule",
        *_lines(table), r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    wide = len(table.columns.headings) > _PAGE_COLUMNS
    if wide:
        body = [r"\resizebox{\linewidth}{!}{%", *body[:-1], body[-1] + "}"]
    star = "*" if wide else ""
    inside = rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize\raggedright {notes}}}"
    below = ""
    if len(notes) > _FLOAT_LETTERS:
        inside, below = "", rf"{{\noindent\scriptsize\raggedright {notes}\par}}"
    lines = [
        rf"\begin{{table{star}}}[t]", r"\centering\small\setlength{\tabcolsep}{4pt}", caption,
        *body, inside, rf"\end{{table{star}}}", below,
    ]  # fmt: skip
    return "\n".join(filter(None, lines))


def _header(table: PaperTable) -> Iterator[str]:
    """Yield a line for each level of the columns, with rules below the levels that group others."""
    depth, axis = len(table.rows.names), table.columns
    for level, name in enumerate(axis.names):
        last = level == len(axis.names) - 1
        # One level of columns says what they are by itself, as the names of methods do.
        stub = [*table.rows.names] if len(axis.names) == 1 else [""] * (depth - 1) + [name]
        cells = [escape(text) for text in stub]
        rules, at = [], depth + 1
        if last:
            cells += [_heading(heading, level) for heading in axis.headings]
        else:
            for text, width in axis.spans(level):
                cells.append(_multicolumn(width, escape(text)))
                rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
                at += width
        yield " & ".join(cells) + r" \\"
        if rules:
            yield "".join(rules)


def _lines(table: PaperTable) -> Iterator[str]:
    before: Heading | None = None
    for heading, entries in zip(table.rows.headings, table.entries, strict=True):
        if before is not None and _starts_group(before, heading):
            yield r"\midrule"
        same = 0  # how many outer levels the line shares with the one before
        while before and same < len(heading.levels) - 1:
            if before.levels[: same + 1] != heading.levels[: same + 1]:
                break
            same += 1
        stub = ["" if i < same else _heading(heading, i) for i in range(len(heading.levels))]
        cells = []
        for index, entry in enumerate(entries):
            # In a transposed table what covers other entries stands above them.
            if table.transposed or entry.state is not State.COVERED:
                width = 1 if table.transposed else span(entries, index)
                cells.append(_multicolumn(width, _entry(entry)))
        yield " & ".join([*stub, *cells]) + r" \\"
        before = heading


def _starts_group(before: Heading, heading: Heading) -> bool:
    """Return whether a rule stands between two lines."""
    if len(heading.levels) > 1:
        return before.levels[0] != heading.levels[0]
    return before.kind is Kind.RATIO or (
        heading.kind is Kind.WHOLE and before.kind is not Kind.WHOLE
    )


def _heading(heading: Heading, level: int) -> str:
    text = escape(heading.levels[level])
    if level < len(heading.levels) - 1:
        return text
    cite = rf"~\cite{{{heading.cite}}}" if heading.cite else ""
    return text + _superscript(heading.marks) + cite


def _entry(entry: Entry) -> str:
    number = escape(entry.text)
    if entry.place in _FONTS:
        number = f"{_FONTS[entry.place]}{{{number}}}"
    text = number + _superscript(entry.marks) + (rf"~\cite{{{entry.cite}}}" if entry.cite else "")
    if entry.published is not None:
        own = entry.published
        cite = rf"~\cite{{{own.cite}}}" if own.cite else ""
        text += f" ({escape(own.text)}{_superscript(own.marks)}{cite})"
    return text


def _multicolumn(width: int, text: str) -> str:
    return rf"\multicolumn{{{width}}}{{c}}{{{text}}}" if width > 1 else text


def _superscript(marks: Sequence[str]) -> str:
    return f"$^{{\\mathrm{{{','.join(marks)}}}}}$" if marks else ""


def _note(mark: str, text: str) -> str:
    shown = replace_citations(text, escape, lambda keys: rf"\cite{{{keys}}}")
    return _superscript([mark] if mark else []) + shown
