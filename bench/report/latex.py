"""A report as LaTeX tables for a paper; they need the packages ``booktabs`` and ``longtable``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.report.number_formats import MARKS
from bench.support.document import Section, Sheet

_LETTERS = "abcdefghijklmnoprstuvwxyz"
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "±": r"$\pm$", "×": r"$\times$", "−": r"$-$", "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$", "–": "--", "…": r"\ldots{}", "⊘": r"$\oslash$",
    # Two hyphens of an option would become a dash, and a backquote a quotation mark.
    "--": "-{}-", "`": r"\textasciigrave{}",
    **{mark: f"$^{{\\mathrm{{{letter}}}}}$" for mark, letter in zip(MARKS, _LETTERS, strict=True)},
}  # fmt: skip
# A float cannot be longer than a page, nor a table in the text's size wider than this.
_PAGE_ROWS, _PAGE_COLUMNS = 40, 9
_FIND = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex(sections: Iterable[Section]) -> str:
    """Return a ``table`` per section, leaving out what is too wide for a page."""
    head = "% Written by `bench table --format latex`; needs \\usepackage{booktabs,longtable}."
    return "\n\n".join([head, *(_section(section) for section in sections)]) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    return _FIND.sub(lambda match: _SPECIAL[match[0]], " ".join(text.split()))


def _section(section: Section) -> str:
    sheets = [sheet for sheet in section.sheets if not sheet.wide]
    sheet_notes = [note for sheet in sheets for note in sheet.notes]
    notes = "\\\\\n".join(escape(note) for note in [*sheet_notes, *section.notes])
    title = escape(f"{section.title}. {section.lead}".strip())
    if not sheets:
        return f"\\paragraph{{{title}}}\n{notes}"
    label = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
    caption = f"\\caption{{{title}}}\\label{{tab:{label}}}"
    below = f"\\par\\smallskip\n\\parbox{{\\linewidth}}{{\\footnotesize\\raggedright\n{notes}}}"
    if any(len(s.rows) > _PAGE_ROWS or len(s.headers) > _PAGE_COLUMNS for s in sheets):
        below = f"{{\\footnotesize\\raggedright\\noindent\n{notes}\\par}}"
        return "\n".join([*(_longtable(sheet, caption) for sheet in sheets), below])
    tables = [_tabular(sheet) for sheet in sheets]
    return "\n".join(
        [
            "\\begin{table}[t]",
            "\\centering\\small\\setlength{\\tabcolsep}{4pt}",
            caption,
            *tables,
            below,
            "\\end{table}",
        ]
    )


def _tabular(sheet: Sheet) -> str:
    head, *body = _lines(sheet)
    lines = [f"\\begin{{tabular}}{{{_columns(sheet)}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _longtable(sheet: Sheet, caption: str) -> str:
    """Return a table over several pages, in small type; a text in its last column may break."""
    head, *body = _lines(sheet)
    columns = _columns(sheet)
    if columns.endswith("l"):
        columns = columns[:-1] + r"p{0.2\linewidth}"
    lines = [
        r"{\scriptsize\setlength{\tabcolsep}{3pt}",
        # What is wider than the text hangs over both margins alike.
        r"\setlength{\LTleft}{0pt plus 1fill minus 1fill}\setlength{\LTright}{\LTleft}",
        f"\\begin{{longtable}}{{{columns}}}",
        caption + r"\\",
        r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot", *body,
    ]  # fmt: skip
    return "\n".join([*lines, r"\end{longtable}}"])


def _columns(sheet: Sheet) -> str:
    return "".join("r" if numeric else "l" for numeric in sheet.numeric)


def _lines(sheet: Sheet) -> list[str]:
    rows = (sheet.headers, *sheet.rows)
    return [" & ".join(escape(cell) for cell in row) + r" \\" for row in rows]
