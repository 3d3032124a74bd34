"""Profiles: a method's parameters under a name, and the name that parameters deserve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.registry.param_values import by_stored_name, resolve
from bench.registry.params import as_dict
from bench.support.errors import BenchError, unknown_message

if TYPE_CHECKING:
    from bench.distillation.method import Method

PROFILES = ("paper", "day", "lite", "smoke")
# The protocol that a profile's sets are evaluated with unless --protocol says otherwise.
PROFILE_PROTOCOL = {"paper": "default", "day": "default", "lite": "quick", "smoke": "smoke"}


@dataclass(frozen=True)
class Profile:
    """Parameters under a name, such as ``lite``.

    Attributes:
        overrides: what differs from the paper's values, by parameter; a value may be a rule, as a
            default may (:func:`bench.registry.params.by_dataset`).
        gives_up: what a result loses by that, in one sentence.
    """

    overrides: Mapping[str, Any]
    gives_up: str


def check_profile(profile: str) -> str:
    """Return ``profile`` if it exists.

    Raises:
        BenchError: with a near miss and what exists.
    """
    if profile not in PROFILES:
        raise BenchError(unknown_message("profile", profile, PROFILES))
    return profile


def resolve_profile(
    method: type[Method],
    profile: str,
    overrides: Mapping[str, Any],
    ipc: int | None,
    dataset: str = "",
) -> Any:
    """Return the method's parameters: the paper's, then the profile's, then the user's."""
    own = method.profiles.get(profile)
    profiled, given = (
        by_stored_name(method.Params, values, method.name)
        for values in (own.overrides if own is not None else {}, overrides)
    )
    values = {**profiled, **given}
    return resolve(method.Params, values, owner=method.name, ipc=ipc, dataset=dataset)


def label_profile(named: Mapping[str, Any], params: Any, asked: str) -> tuple[str, str]:
    """Name the profile that ``params`` really are, and what was changed from it.

    Args:
        named: the method's parameters under every profile, for the same IPC and dataset.
        params: its parameters in a cell.
        asked: the profile that the user named.

    Returns:
        ``("any", "")`` if every profile of the method has these parameters, the asked profile's
        name if it has them, else ``"custom"`` with the changes from the asked one
        (``"lite: iterations=200"``), so that a table cannot pass one for the other.
    """
    equal = [p for p in PROFILES if named[p] == params]
    if len(equal) == len(PROFILES):
        return "any", ""
    if asked in equal:
        return asked, ""
    base, mine = as_dict(named[asked], whole=True), as_dict(params, whole=True)
    changes = ", ".join(f"{k}={mine[k]}" for k in mine if mine[k] != base[k])
    return "custom", f"{asked}: {changes}"
