"""The help screens of commands: options in groups, and examples at the end."""

from __future__ import annotations

import click

from bench.executors.choose import ExecutorOptions
from bench.grid.option import options_of
from bench.grid.request import Request, Reuse
from bench.grid.site import Site
from bench.tracking import Tracking

_WHERE = ("store", "data_dir", "device", "plugin")
_GROUPS = {
    "What to compute": {option.name for option in options_of(Request)},
    "Where": set(_WHERE),
    "How": {
        o.name for cls in (Site, Reuse, Tracking) for o in options_of(cls) if o.name not in _WHERE
    }
    | {"time_budget", "yes", "dry_run", "as_json"},
    "Executors": {option.name for option in options_of(ExecutorOptions)},
}
_OTHERS = "Options"


class GroupedCommand(click.Command):
    """A command that computes: its help shows the many options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what belongs to no group, then each group under its title."""
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in (_OTHERS, *_GROUPS)}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):  # the usage line and the text name it
                continue
            record = param.get_help_record(ctx)
            if record is not None:
                groups[_group_of(param.name)].append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _group_of(name: str | None) -> str:
    return next((title for title, names in _GROUPS.items() if name in names), _OTHERS)
