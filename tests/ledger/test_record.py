"""Records are validated on reading, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from record_builders import distil_json, evaluate_json, failed_json

from bench.ledger.cell import SCHEMA_VERSION
from bench.ledger.private_paths import environment_without_paths
from bench.ledger.record import OtherSchemaError, Record
from bench.ledger.record_file import load_record
from bench.ledger.record_tables import EvaluationOutcome

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "distil": distil_json,
    "evaluate": evaluate_json,
    "failed": failed_json,
}


def paths(data: dict[str, Any]) -> list[tuple[str, ...]]:
    inner = [(k, n) for k, v in data.items() if isinstance(v, dict) for n in v]
    return [(k,) for k in data] + inner


NEEDED = [(kind, path) for kind, make in EXAMPLES.items() for path in paths(make())]
WRONG: list[Any] = [[], {"x": 1}, "x", None, True, 7, 1.5]


def changed(data: dict[str, Any], path: tuple[str, ...], value: Any = ...) -> dict[str, Any]:
    table = data
    for key in path[:-1]:
        table = table[key]
    if value is ...:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return data


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_record_survives_the_disk(kind: str) -> None:
    record = Record.from_json(EXAMPLES[kind]())
    again = Record.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    example, written = EXAMPLES[kind](), record.to_json()
    assert written.keys() == example.keys()
    for name, value in example.items():  # what has a default is written too
        assert written[name] == ({**written[name], **value} if value and isinstance(value, dict)
                                 else value)  # fmt: skip
    assert record.to_json()["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize(("kind", "path"), NEEDED, ids=str)
def test_each_missing_field_is_named(kind: str, path: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"'{'.'.join(path)}' is missing"):
        Record.from_json(changed(EXAMPLES[kind](), path))


def fits(value: Any, kind: str, path: tuple[str, ...]) -> bool:
    """Whether a value has a type that the field may have."""
    if isinstance(value, bool):
        return False
    right = _at(EXAMPLES[kind](), path)
    nullable = path[-1] in ("ipc", "nominal_ipc", "reason") or (kind, path[-1]) == (
        "distil",
        "arch",
    )
    types: Any = {type(None): str, float: (int, float)}.get(type(right), type(right))
    return isinstance(value, types) or (value is None and nullable)


@pytest.mark.parametrize(("kind", "path"), NEEDED, ids=str)
def test_each_mistyped_field_is_named(kind: str, path: tuple[str, ...]) -> None:
    bad = [value for value in WRONG if not fits(value, kind, path)]
    assert len(bad) >= 4
    for value in bad:
        with pytest.raises(ValueError, match=f"'{'.'.join(path)}' is missing or of the wrong type"):
            Record.from_json(changed(EXAMPLES[kind](), path, value))


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@pytest.mark.parametrize("data", [None, [], "x", 3, {}])
def test_what_is_no_record(data: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON object|schema_version"):
        Record.from_json(data)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_schema_is_told_apart_from_damage(version: int) -> None:
    with pytest.raises(OtherSchemaError, match=f"schema_version {version}"):
        Record.from_json({**evaluate_json(), "schema_version": version})
    with pytest.raises(OtherSchemaError):
        Record.from_json({"schema_version": version})


def test_a_record_of_another_version_says_which_bench_reads_it() -> None:
    environment = {"packages": {"distillation-bench": "0.9.1"}}
    for version, wrote, words in (
        (2, environment, "upgrade to bench 0.9.1 to read it"),
        (2, {}, "upgrade to bench of a later release to read it"),
        (2, {"packages": 3}, "upgrade to bench of a later release to read it"),
        (0, environment, "read it with bench 0.9.1; this bench has cells of its own"),
        (0, 3, "read it with bench of an earlier release; this bench"),
    ):
        with pytest.raises(OtherSchemaError, match=f"this bench reads 1: {words}"):
            Record.from_json({"schema_version": version, "environment": wrote})


@pytest.mark.parametrize("version", [True, "1", 1.0, None])
def test_a_schema_version_is_a_whole_number(version: Any) -> None:
    with pytest.raises(ValueError, match="'schema_version' is missing or of the wrong type"):
        Record.from_json({**evaluate_json(), "schema_version": version})


def test_unknown_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown fields \['extra'\]"):
        Record.from_json({**evaluate_json(), "extra": 1})


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "train"), ("status", "running"), ("status", "")]
)
def test_kinds_and_statuses(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"'{value}'"):
        Record.from_json({**evaluate_json(), field: value})


@pytest.mark.parametrize(("status", "reason"), [("ok", "why"), ("failed", None), ("skipped", None)])
def test_a_reason_goes_with_failure_only(status: str, reason: str | None) -> None:
    with pytest.raises(ValueError, match="does not go with status"):
        Record.from_json({**evaluate_json(), "status": status, "reason": reason})


@pytest.mark.parametrize("value", [-0.1, 100.5, float("nan"), float("inf"), "50", None, True, [1]])
def test_accuracies_are_percentages(value: Any) -> None:
    data = evaluate_json()
    data["result"]["accuracies"] = [50.0, value]
    with pytest.raises(ValueError, match=r"field 'result.accuracies\[\.*1?\.*\]' is"):
        Record.from_json(data)


@pytest.mark.parametrize("value", [0, 0.0, 100, 100.0, 33.3])
def test_the_bounds_are_percentages_too(value: float) -> None:
    data = evaluate_json()
    data["result"]["accuracies"] = [value]
    outcome = Record.from_json(data).outcome
    assert isinstance(outcome, EvaluationOutcome)
    assert outcome.result.accuracies == (value,)


def test_an_evaluation_without_accuracies_is_none() -> None:
    with pytest.raises(ValueError, match=r"'result.accuracies' is out of range"):
        Record.from_json(changed(evaluate_json(), ("result", "accuracies"), []))


AMOUNTS = [
    (kind, (table, name))
    for kind in ("distil", "evaluate")
    for table in ("cost", "budget")
    for name in EXAMPLES[kind]()[table]
]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), -(10**400), 10**400, "1"])
@pytest.mark.parametrize(("kind", "path"), [*AMOUNTS, ("failed", ("cost", "seconds"))], ids=str)
def test_costs_and_budgets_are_amounts(kind: str, path: tuple[str, ...], value: Any) -> None:
    with pytest.raises(ValueError, match=r"field '.*' is"):
        Record.from_json(changed(EXAMPLES[kind](), path, value))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_keys_of_a_later_release_are_no_damage(kind: str) -> None:
    """An identity is hashed and labels are open: what they hold beyond the schema stays."""
    data = EXAMPLES[kind]()
    for table in ("identity", "labels", "result", "budget", "cost", "environment"):
        data[table]["later"] = "x"
    record = Record.from_json(data)
    assert record.to_json()["identity"] == data["identity"]
    assert record.to_json()["labels"] == data["labels"]
    assert record.outcome == Record.from_json(EXAMPLES[kind]()).outcome


def test_every_record_that_is_published_is_read_unchanged() -> None:
    paths = sorted(ROOT.glob("results/reproduced/store/cells/*/record.json"))
    assert len(paths) > 200
    for path in paths:
        content = json.loads(path.read_text())
        content.pop("checksum", None)  # of the file; reading compares it
        assert load_record(path, path.parent.name).to_json() == content, path
        assert environment_without_paths(content["environment"]) == content["environment"], path


def test_a_count_too_large_for_a_column() -> None:
    with pytest.raises(ValueError, match=r"'labels.n_test' is out of range"):
        Record.from_json(changed(evaluate_json(), ("labels", "n_test"), 2**63))


def test_a_failure_needs_no_result(tmp_path: Path) -> None:
    record = Record.from_json(failed_json())
    assert record.reason == "loss is nan at step 3"
    assert Record.from_json({**failed_json(), "status": "skipped"}).status == "skipped"
