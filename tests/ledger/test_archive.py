"""Archives: what goes in comes out, no paths of the sender, and forged ones are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.ledger.private_paths import without_paths


def call(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    root = tmp_path_factory.mktemp("home") / "alice" / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["bench", "run", "--store", str(root), "--ipc", "1,2"])
        call(
            "run", "--method", "random,whole", "--dataset", "digits", "--ipc", "1,2",
            "--store", root, "--data-dir", data_dir, "--profile", "smoke", "--eval-arch", "mlp",
            "--eval-nets", 1, "--json",
        )  # fmt: skip
    return root


def rows(store: Path) -> list[dict[str, Any]]:
    return list(json.loads(call("table", "--store", store, "--format", "json").stdout)["results"])


def test_an_archive_is_merged_to_the_same_table(store: Path, tmp_path: Path) -> None:
    call("archive", "--store", store, "-o", tmp_path / "a.zip")
    call("merge", tmp_path / "a.zip", "--into", tmp_path / "there")
    mine, theirs = rows(store), rows(tmp_path / "there")
    for row in (*mine, *theirs):
        row.pop("artefacts")
    assert mine == theirs
    call("verify", "--store", tmp_path / "there")
    again = call("merge", tmp_path / "a.zip", "--into", tmp_path / "there")
    assert "equal" in again.output


def test_a_selection_brings_what_it_depends_on(store: Path, tmp_path: Path) -> None:
    call("archive", "--store", store, "--method", "random", "--ipc", 2, "-o", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        records = [name for name in archive.namelist() if name.endswith("record.json")]
        artefacts = [name for name in archive.namelist() if name.endswith(".safetensors")]
    assert (len(records), len(artefacts)) == (2, 1)


def test_no_path_of_the_sender_is_in_it(store: Path, tmp_path: Path) -> None:
    for name in ("archive", "merge"):
        if name == "archive":
            call("archive", "--store", store, "-o", tmp_path / "a.zip")
            with zipfile.ZipFile(tmp_path / "a.zip") as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
            assert b"bench run --store runs" in content
        else:
            call("merge", store, "--into", tmp_path / "there")
            files = (tmp_path / "there" / "requests").glob("*.json")
            content = b"".join(path.read_bytes() for path in files)
            assert content
        assert b"alice" not in content
        assert str(store.parent).encode() not in content


def test_a_request_of_an_archive_can_be_retried(
    store: Path, tmp_path: Path, data_dir: Path
) -> None:
    call("archive", "--store", store, "--method", "random", "-o", tmp_path / "a.zip")
    call("merge", tmp_path / "a.zip", "--into", tmp_path / "there")
    result = call("retry", "--store", tmp_path / "there", "--data-dir", data_dir)
    assert len(rows(tmp_path / "there")) == len(rows(store)), result.output


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("bench run --store /home/alice/x/runs --ipc 1", "bench run --store runs --ipc 1"),
        ("--data-dir=/data/bob", "--data-dir=bob"),
        ("'/home/al ice'", "'al ice'"),
        ('File "/home/alice/code/m.py", line 3', 'File "m.py", line 3'),
        ("~/private/set.pt", "set.pt"),
        ("results/runs a/b 3/4 and/or", "results/runs a/b 3/4 and/or"),
        ("http://host/path", "http://host/path"),
    ],
)
def test_paths_are_cut_to_their_last_part(text: str, clean: str) -> None:
    assert without_paths(text) == clean


def test_a_damaged_artefact_is_not_sent(store: Path, tmp_path: Path) -> None:
    call("merge", store, "--into", tmp_path / "copy")
    for artefact in (tmp_path / "copy").glob("cells/*/artefact.safetensors"):
        content = bytearray(artefact.read_bytes())
        content[-1] ^= 1
        artefact.write_bytes(content)
    result = call("archive", "--store", tmp_path / "copy", "-o", tmp_path / "a.zip", code=2)
    assert "is not what its record says" in result.stderr
    assert not (tmp_path / "a.zip").exists()


def forged(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"../evil": b""}, "which no archive of bench does"),
        ({"/etc/evil": b""}, "which no archive of bench does"),
        ({"cells/ab/../../../evil": b""}, "which no archive of bench does"),
        ({"cells/ab/plugin.py": b""}, "which no archive of bench does"),
        ({"cells/ab/record.json": bytes(300_000_000)}, "would unpack from"),
    ],
)
def test_a_forged_archive_is_refused(members: dict[str, bytes], words: str, tmp_path: Path) -> None:
    path = forged(tmp_path / "a.zip", members)
    result = call("merge", path, "--into", tmp_path / "there", code=2)
    assert words in result.stderr
    assert not list(tmp_path.rglob("evil*"))
    assert not list((tmp_path / "there").glob(".archive-*"))


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nothing")
    result = call("merge", tmp_path / "a.zip", "--into", tmp_path / "there", code=2)
    assert "is no whole archive of bench" in result.stderr


def test_a_forged_record_is_left_out(tmp_path: Path) -> None:
    path = forged(tmp_path / "a.zip", {"cells/ab/record.json": b"{}"})
    result = call("merge", path, "--into", tmp_path / "there", code=1)
    assert "is left out" in result.output
