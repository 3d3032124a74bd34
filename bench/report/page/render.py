"""A report page as one file of HTML: text is escaped, and nothing outside the file is needed."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from bench.report.page import axis
from bench.report.page.content import Page
from bench.report.paper.html import table_style

_ASSETS = files("bench.report.page") / "assets"
_FRAME = {
    "width": axis.WIDTH, "height": axis.HEIGHT, "left": axis.LEFT, "top": axis.TOP,
    "right": axis.WIDTH - axis.RIGHT, "bottom": axis.HEIGHT - axis.BOTTOM,
}  # fmt: skip


def render_page(page: Page) -> str:
    """Return a page as HTML."""
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        page=page,
        frame=_FRAME,
        style=Markup(table_style() + _asset("page.css")),
        script=Markup(_asset("page.js")),
        papers=[Markup(table) for table in page.papers],
        references=Markup(page.references),
        data=Markup(in_script({"json": page.json, "csv": page.csv})),
    )


def write_page(page: Page, folder: Path) -> Path:
    """Write ``report.html`` into a folder and return its path."""
    from bench.support.atomic_files import replacing, writing

    path = folder / "report.html"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(render_page(page), encoding="utf-8")
    return path


def in_script(values: object) -> str:
    """Return JSON that is safe inside a ``<script>`` element: no ``<`` can end or open one."""
    text = json.dumps(values, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
