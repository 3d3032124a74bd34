"""Two users of one group work in one store, whatever their umask."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from record_builders import failed_json, hashed

from bench.ledger.lock import cell_lock
from bench.ledger.store import Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
GROUP, ALICE, BOB = 54321, 54322, 54323
RECORD = hashed(failed_json())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach; the fixture of pytest is its owner's alone."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def shared(folder: Path) -> Path:
    """A store that the group shares."""
    path = folder / "shared"
    path.mkdir()
    os.chown(path, ALICE, GROUP)
    path.chmod(0o2770)
    return path


def as_user(user: int, umask: int, action: Callable[[], object]) -> None:
    """Run an action in a process of a user."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(umask)
            action()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def fail_a_cell(root: Path) -> None:
    """Do what a run does with a cell that fails."""
    store = Store(root)
    store.prepare()
    assert store.read(RECORD.id) in (None, RECORD)
    with cell_lock(store.folder(RECORD.id)) as held:
        assert held
        store.write_request(RECORD.id, {"kind": "distil"})
        store.log(RECORD.id, f"of {os.geteuid()}")
        store.write(RECORD)


@pytest.mark.parametrize("second", [0o002, 0o022, 0o077])
@pytest.mark.parametrize("first", [0o002, 0o022, 0o077])
def test_a_failed_cell_of_one_is_tried_again_by_the_other(
    first: int, second: int, shared: Path
) -> None:
    as_user(ALICE, first, lambda: fail_a_cell(shared))
    as_user(BOB, second, lambda: fail_a_cell(shared))
    as_user(ALICE, first, lambda: fail_a_cell(shared))
    log = (Store(shared).folder(RECORD.id) / "log.txt").read_text()
    assert log.splitlines() == [f"of {ALICE}", f"of {BOB}", f"of {ALICE}"]
    for path in shared.rglob("*"):
        assert path.stat().st_gid == GROUP
        assert path.stat().st_mode & stat.S_IWGRP, path


def test_a_log_of_another_that_cannot_be_written_is_put_aside(shared: Path) -> None:
    as_user(ALICE, 0o077, lambda: fail_a_cell(shared))
    log = Store(shared).folder(RECORD.id) / "log.txt"
    log.chmod(0o600)  # as an earlier bench left it
    as_user(BOB, 0o002, lambda: fail_a_cell(shared))
    assert log.read_text() == f"of {BOB}\n"
    (aside,) = log.parent.glob("log.*.txt")
    assert aside.read_text() == f"of {ALICE}\n"


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_elsewhere_the_umask_decides(umask: int, mode: int, folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    os.chown(own, ALICE, ALICE)
    as_user(ALICE, umask, lambda: fail_a_cell(own))
    for path in own.rglob("*"):
        expected = mode | (mode & 0o444) >> 2 if path.is_dir() else mode
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
