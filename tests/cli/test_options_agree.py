"""The fields that declare options, ``bench.run`` and the command line agree."""

from __future__ import annotations

import inspect
from dataclasses import fields

import bench
from bench.cli.retry import retry
from bench.cli.run import run
from bench.executors.choose import ExecutorOptions
from bench.grid.option import options_of
from bench.grid.request import Request, Reuse
from bench.grid.site import Site
from bench.tracking import Tracking

# What only the call has, and what only the command line has.
CALL_ONLY = {"reporter", "time_budget", "execute"}
COMMAND_ONLY = {"config", "trust_config", "save_config", "time_budget", "yes", "dry_run", "as_json"}
# Fields whose parameter in bench.run is not named like the flag.
PARAMETERS = {"set": "overrides", "plugin": "plugins"}


def test_every_field_that_a_user_sets_is_an_option() -> None:
    for cls in (Request, Site, Reuse, Tracking, ExecutorOptions):
        declared = {option.field for option in options_of(cls)}
        assert {f.name for f in fields(cls)} - declared <= {"command"}


def test_the_call_has_every_option_with_the_same_default() -> None:
    parameters = inspect.signature(bench.run).parameters
    options = [*options_of(Request), *options_of(Site), *options_of(Reuse), *options_of(Tracking)]
    names = {PARAMETERS.get(option.name, option.name): option for option in options}
    assert set(parameters) == set(names) | CALL_ONLY
    for name, option in names.items():
        default = parameters[name].default
        if name in ("method", "dataset", "data_dir", "overrides"):
            continue  # required, or made anew for each call
        assert option.default in (default, (default,)), name


def test_the_command_has_every_option() -> None:
    classes = (Request, Site, Reuse, Tracking, ExecutorOptions)
    options = [option for each in classes for option in options_of(each)]
    names = [option.name for option in options]
    assert len(set(names)) == len(names)
    assert {p.name for p in run.params} == {*names} | COMMAND_ONLY


def test_retry_takes_the_options_of_its_executors() -> None:
    names = {option.name for option in options_of(ExecutorOptions)}
    assert names <= {p.name for p in retry.params}


def test_the_call_documents_every_parameter() -> None:
    text = inspect.getdoc(bench.run) or ""
    for name in inspect.signature(bench.run).parameters:
        assert f"    {name}: " in text, name
