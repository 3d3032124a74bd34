"""Hook of the documentation site: the reference of all commands, written by the commands."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from bench.cli import main

# What a page has where the reference is to stand.
MARK = "<!-- commands -->"
# So many columns fit into a block of code of the site.
_WIDTH = 92


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Put the reference in the place of its mark."""
    if MARK not in markdown:
        return markdown
    return markdown.replace(MARK, "\n\n".join(_reference(main, "bench", None)))


def _reference(command: click.Command, name: str, above: click.Context | None) -> Iterator[str]:
    """Yield the parts of a command's section, then those of the commands below it."""
    context = click.Context(command, above, info_name=name, **command.context_settings)
    path = context.command_path
    yield f"{'#' * max(2, len(path.split()))} {path}"
    yield from _text(command.help or "")
    yield _block(f"{path} {' '.join(command.collect_usage_pieces(context))}")
    formatter = click.HelpFormatter(width=_WIDTH)
    command.format_options(context, formatter)
    yield _block(formatter.getvalue().strip("\n"))
    yield from _text(command.epilog or "")
    if isinstance(command, click.Group):
        for each in sorted(command.list_commands(context)):
            below = command.get_command(context, each)
            if below is not None:
                yield from _reference(below, each, context)


def _text(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; what click must not wrap is a block of code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        if first != "\b":
            yield paragraph
            continue
        lines = rest.splitlines()
        if not lines[0].startswith(" "):
            yield f"**{lines.pop(0)}**"
        yield _block("\n".join(lines), "bash")


def _block(text: str, language: str = "text") -> str:
    return f"```{language}\n{textwrap.dedent(text)}\n```"
