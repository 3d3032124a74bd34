"""Hooks of the documentation site: files of the repository outside ``docs/`` become pages of it.

Links in the Markdown files work in a checkout. Here a link to a file that is part of the site
becomes a link to its page or picture, and a link to any other file becomes its path.
Formulas become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Path in the repository -> path in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "results/reproduced/README.md": "results/reproduced.md",
    "results/reproduced/gpu/README.md": "results/reproduced/gpu.md",
    "results/published/README.md": "results/published.md",
    "results/first-table/README.md": "results/first-table.md",
    "results/verdicts/README.md": "results/verdicts.md",
    "examples/first_steps.py": "first-steps.md",
}
PICTURES = (".png", ".svg")
DISK_WORKER = "disk-worker.js"
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\$([^$\n]+(?:\n[^$\n]+)?)\$")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside ``docs/``, and the pictures that they show."""
    for source, target in OUTSIDE.items():
        path = ROOT / source
        if path.exists():
            text = path.read_text(encoding="utf-8")
            content = _from_script(text) if path.suffix == ".py" else text
            files.append(File.generated(config, target, content=content))
    worker = str(ROOT / "docs/site" / DISK_WORKER)
    files.append(File.generated(config, DISK_WORKER, abs_src_path=worker))
    for picture in ROOT.glob("results/**/*"):
        if picture.suffix in PICTURES:
            name = picture.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(picture)))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have each page load the script that a site on disk needs."""
    config.extra["polyfills"] = [DISK_WORKER]
    return config


@event_priority(-100)  # after the search's own
def on_post_build(config: MkDocsConfig) -> None:
    """Write the index of the search as a script too: a page on disk may read no other file."""
    index = Path(config.site_dir, "search/search_index.json").read_text(encoding="utf-8")
    script = Path(config.site_dir, "search/search_index.js")
    script.write_text(f"var __index = {index}", encoding="utf-8")


def _from_script(text: str) -> str:
    """Return a script in the percent format of jupytext as Markdown: its texts, and its code."""
    parts = []
    for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        kind, _, body = cell.partition("\n")
        if "[markdown]" in kind:
            parts.append(re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE))
        else:
            parts.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Rewrite links to files of the repository."""
    here = page.file.src_uri
    names = {target: source for source, target in OUTSIDE.items()}
    folder = posixpath.dirname(names.get(here, f"docs/{here}"))

    def rewritten(match: re.Match[str]) -> str:
        mark, text, address, anchor = match.groups()
        if re.match(r"[a-z]+:", address):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, address))
        if path in OUTSIDE:
            target = OUTSIDE[path]
        elif path.startswith("docs/"):
            target = path.removeprefix("docs/")
        else:
            target = path
        if files.get_file_from_path(target) is None:
            # A script, a table or a folder of the checkout: there is no page for it.
            return f"{text} (`{path}`)" if text.strip("`") != path else f"`{path}`"
        relative = posixpath.relpath(target, posixpath.dirname(here) or ".")
        return f"{mark}[{text}]({relative}{anchor or ''})"

    linked = _outside(_FENCE, markdown, lambda text: _LINK.sub(rewritten, text))
    return _outside(_CODE, linked, _formulas)


def _outside(code: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """Change a text but for code, in which neither a bracket nor a dollar means anything."""
    parts = code.split(text)
    parts[::2] = map(change, parts[::2])
    return "".join(parts)


def _formulas(text: str) -> str:
    text = _BLOCK.sub(lambda match: _mathml(match[1].strip(), display="block"), text)
    return _INLINE.sub(lambda match: _mathml(match[1]), text)


def _mathml(formula: str, display: str = "inline") -> str:
    """Return a formula as MathML; what the converter would print as it stands is replaced first."""
    formula = re.sub(r"\\[bB]igg?[lr]?\s*\\\|", r"\\|", formula)
    formula = re.sub(r"\\arg\s*\\(min|max)", r"\\mathrm{arg\\,\1}", formula)
    mathml: str = convert(formula, display=display)
    return mathml
