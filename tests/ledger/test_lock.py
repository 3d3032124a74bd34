"""One process a cell: live holders are respected, dead ones are not."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from processes.python_process import dead_pid, kill_unnoticed, needs_proc, python_process
from processes.wait_until import wait_until

from bench.ledger import holder, lock
from bench.ledger.holder import BEAT, PATIENCE, read_holder
from bench.ledger.lock import cell_lock
from bench.ledger.processes import find_process, kernel_id, process_table_id

ME = find_process(os.getpid())
STARTED = ME and ME.started
HOLD = (
    "from pathlib import Path\n"
    "from bench.ledger.lock import cell_lock\n"
    "with cell_lock(Path(sys.argv[1])) as held:\n"
    "    assert held; print(held, flush=True); sys.stdin.read()\n"
)
# As HOLD, but waits for the lock of one that dies at this moment.
TRY = (
    "from pathlib import Path\n"
    "from bench.ledger.lock import cell_lock\n"
    "while True:\n"
    "    with cell_lock(Path(sys.argv[1])) as held:\n"
    "        if held: print(held, flush=True); sys.stdin.read()\n"
    "    time.sleep(0.1)\n"
)


def leave(folder: Path, content: Any, age: float = 0.0) -> Path:
    """Write a lock that somebody left behind ``age`` seconds ago."""
    folder.mkdir(exist_ok=True)
    path = folder / "lock"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    touched = time.time() - age
    os.utime(path, (touched, touched))
    return path


def held(folder: Path) -> bool:
    with cell_lock(folder) as got:
        return got


def test_a_lock_is_held_once_and_released(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cell"
    with cell_lock(folder) as first:
        content = json.loads((folder / "lock").read_text())
        assert (content["host"], content["pid"]) == (socket.gethostname(), os.getpid())
        assert [first, held(folder)] == [True, False]
        assert (folder / "lock").exists()
    assert list(folder.iterdir()) == []
    assert held(folder)


def test_cells_do_not_hinder_each_other(tmp_path: Path) -> None:
    with cell_lock(tmp_path / "a") as first, cell_lock(tmp_path / "b") as second:
        assert first
        assert second


def test_an_exception_releases(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), cell_lock(tmp_path):
        _ = 1 / 0
    assert held(tmp_path)


def test_a_live_process_is_respected_and_a_killed_one_is_not(tmp_path: Path) -> None:
    with python_process(HOLD, tmp_path):
        assert not held(tmp_path)
        assert (tmp_path / "lock").exists()
    assert (tmp_path / "lock").exists()
    assert held(tmp_path)


def here(pid: int, **more: Any) -> dict[str, Any]:
    own = {"kernel": kernel_id(), "process_table": process_table_id()}
    return {"host": socket.gethostname(), "pid": pid, **own, **more}


@pytest.mark.parametrize(
    ("content", "age", "taken"),
    [
        (here(os.getpid()), 0, False),
        (here(os.getpid()), PATIENCE - 60, False),
        (here(os.getpid()), PATIENCE + 60, True),  # the number went to another program
        (here(1), 0, False),  # not ours to signal, but it runs
        (here(0), 0, True),
        (here(-1), 0, True),
        (here(2**70), 0, True),
        # Started when the lock says: it runs, whatever the clock did meanwhile.
        ({**here(os.getpid()), "started": STARTED}, PATIENCE + 60, False),
        ({**here(os.getpid()), "started": STARTED}, -1e6, False),
        ({**here(os.getpid()), "started": 1}, 0, True),  # the number went to another program
        ({**here(2**22 + 1), "started": 1}, -1e6, True),
        # Another name of the same machine, as after a container's restart.
        (here(2**22 + 1, host="elsewhere"), 0, True),
        (here(os.getpid(), started=STARTED, host="elsewhere"), PATIENCE + 60, False),
        # Another process table or kernel: its numbers say nothing here, whatever the names are.
        (here(2**22 + 1, process_table="pid:[1]"), PATIENCE - 60, False),
        (here(os.getpid(), started=STARTED, process_table="pid:[1]"), PATIENCE + 60, True),
        (here(2**22 + 1, process_table=""), PATIENCE - 60, False),
        (here(2**22 + 1, kernel="another"), PATIENCE - 60, False),
        (here(os.getpid(), started=STARTED, kernel="another"), PATIENCE + 60, True),
        ({"host": socket.gethostname(), "pid": 2**22 + 1}, PATIENCE - 60, False),  # an older bench
        ({"host": socket.gethostname(), "pid": os.getpid()}, PATIENCE + 60, True),
        # It locked another file than this one, which may be a copy.
        (here(1, process_table="pid:[1]", flock=[1, 1]), PATIENCE - 60, False),
        ({"host": "elsewhere", "pid": 1}, -1e6, False),
        ("", -1e6, False),
        ({"host": "elsewhere", "pid": 1}, 0, False),
        ({"host": "elsewhere", "pid": 1}, PATIENCE - 60, False),
        ({"host": "elsewhere", "pid": 1}, PATIENCE + 60, True),
        ("", 0, False),  # its holder is about to write it
        ("", BEAT + 10, True),
        ("{}", BEAT + 10, True),
        ("[]", BEAT + 10, True),
        ("3", BEAT + 10, True),
        ('{"host": "x", "pid": "y"}', BEAT + 10, True),
        ('{"host": "x", "pid": null}', BEAT + 10, True),
        ('{"host": "x", "pid": 1, "flock": 3}', BEAT + 10, True),
    ],
    ids=lambda value: re.sub(r"\d{3,}", "N", str(value)),  # equal in every xdist worker
)
def test_who_is_respected(tmp_path: Path, content: Any, age: float, taken: bool) -> None:
    path = leave(tmp_path, content, age)
    before = path.read_text()
    assert held(tmp_path) == taken
    assert path.exists() != taken
    if not taken:
        assert path.read_text() == before


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"machine": "another host"}, False),
        ({"machine": ""}, False),
        ({"kernel": ""}, False),
        ({"kernel": kernel_id(), "pid": os.getpid(), "started": STARTED}, False),
    ],
    ids=["earlier start", "another machine", "no machine", "no kernel", "this start"],
)
def test_a_holder_of_an_earlier_start_of_this_machine_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], taken: bool
) -> None:
    monkeypatch.setattr(holder, "machine_id", lambda: "this host")
    lock_file = {**here(1, kernel="an earlier start", machine="this host"), **change}
    leave(tmp_path, lock_file)
    assert held(tmp_path) == taken


def test_a_machine_that_is_not_known_takes_nothing_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "machine_id", lambda: "")
    leave(tmp_path, here(1, kernel="an earlier start", machine=""))
    assert not held(tmp_path)


def test_a_dead_process_is_replaced_at_once(tmp_path: Path) -> None:
    leave(tmp_path, here(dead_pid()))
    with cell_lock(tmp_path) as got:
        assert got
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


@needs_proc
def test_a_process_that_no_parent_has_noticed_is_dead(tmp_path: Path) -> None:
    with python_process(HOLD, tmp_path) as other:
        assert not held(tmp_path)
        kill_unnoticed(other)
        assert held(tmp_path)


def test_a_dead_number_of_another_host_says_nothing(tmp_path: Path) -> None:
    leave(tmp_path, {"host": "elsewhere", "pid": dead_pid()})
    assert not held(tmp_path)


def test_the_heart_beats_while_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with cell_lock(tmp_path):
        path = tmp_path / "lock"
        os.utime(path, (1.0, 1.0))
        wait_until("a beat", lambda: path.stat().st_mtime != 1.0, 0.005)
        assert path.stat().st_mtime > time.time() - 60
        threads = threading.active_count()
    assert threading.active_count() == threads - 1


def test_what_another_took_over_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with cell_lock(tmp_path) as got:
        assert got
        path = leave(tmp_path, {"host": "elsewhere", "pid": 1})
        time.sleep(0.2)  # a beat that had begun before may still touch it
        os.utime(path, (1.0, 1.0))
        time.sleep(0.2)
        assert path.stat().st_mtime == 1.0
    assert path.exists()


def test_a_lock_that_vanished_is_no_error(tmp_path: Path) -> None:
    with cell_lock(tmp_path):
        (tmp_path / "lock").unlink()
    assert held(tmp_path)


def test_of_many_who_see_a_stale_lock_one_gets_it(tmp_path: Path) -> None:
    leave(tmp_path, here(dead_pid()))
    start, stop = threading.Barrier(8), threading.Barrier(8)
    got: list[bool] = []

    def compete() -> None:
        start.wait()
        with cell_lock(tmp_path) as mine:
            got.append(mine)
            stop.wait()

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


def test_a_file_system_without_locks_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    leave(tmp_path, here(dead_pid()))
    assert held(tmp_path)


def test_a_lock_of_the_future_is_respected_and_its_patience_starts(tmp_path: Path) -> None:
    """A clock was set back since its holder touched it, or the holder's host is ahead."""
    path = leave(tmp_path, {"host": "elsewhere", "pid": 1}, age=-1e6)
    before = time.time()
    assert not held(tmp_path)
    assert before - 5 < path.stat().st_mtime < time.time() + 5
    os.utime(path, (before - PATIENCE - 60,) * 2)  # no process has touched it since
    assert held(tmp_path)


def test_a_clock_that_jumps_takes_no_lock_of_this_host_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    with cell_lock(tmp_path) as got:
        assert got
        for jump in (-1e6, 1e6):
            monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
            assert not held(tmp_path)
            found = read_holder(tmp_path)
            assert found is not None
            assert found.alive
            assert found.seconds_since_beat >= 0
    assert read_holder(tmp_path) is None


def test_who_holds_a_lock(tmp_path: Path) -> None:
    with cell_lock(tmp_path):
        found = read_holder(tmp_path)
    assert found is not None
    assert (found.host, found.pid, found.alive) == (socket.gethostname(), os.getpid(), True)
    assert found.here
    assert datetime.fromisoformat(found.since).tzinfo is not None
    leave(tmp_path, {"host": "elsewhere", "pid": 7}, age=PATIENCE + 60)
    found = read_holder(tmp_path)
    assert found is not None
    assert (found.host, found.pid, found.since, found.alive) == ("elsewhere", 7, "", False)
    assert not found.here
    assert found.seconds_since_beat > PATIENCE


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"host": "x", "pid": "y"}'])
def test_a_damaged_lock_has_no_holder(tmp_path: Path, content: str) -> None:
    leave(tmp_path, content)
    assert read_holder(tmp_path) is None


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_folder_that_was_cleaned_away_is_made_again(
    taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another may have taken it meanwhile."""
    folder, opened = tmp_path / "cell", Path.open
    left = [True]

    def open_(self: Path, *arguments: Any, **named: Any) -> Any:
        if left and self.name == "lock":
            left.clear()
            folder.rmdir()
            try:
                return opened(self, *arguments, **named)
            finally:
                if taken:
                    leave(folder, {"host": "elsewhere", "pid": 1})
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_)
    assert held(folder) == (not taken)
    assert not left


SEPARATE = ("unshare", "--pid", "--fork", "--mount-proc", "--uts", "--kill-child")


def can_separate() -> bool:
    try:
        return subprocess.run([*SEPARATE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_separate_tables = pytest.mark.skipif(
    not can_separate(), reason="needs the right to make process tables (unshare --pid)"
)


@needs_separate_tables
@pytest.mark.parametrize("rename", [False, True], ids=["equal-names", "another-name"])
def test_a_process_of_another_container_is_respected_while_it_runs(
    rename: bool, tmp_path: Path
) -> None:
    """Its number means another process here, and no beat has to be waited for at its end."""
    name = "import socket; socket.sethostname('renamed')\n" if rename else ""
    with python_process(name + HOLD, tmp_path, through=SEPARATE):
        os.utime(tmp_path / "lock", (1.0, 1.0))
        assert not held(tmp_path)
        holder = read_holder(tmp_path)
        assert holder is not None
        assert (holder.alive, holder.here) == (True, True)
        assert (holder.host != socket.gethostname()) == rename
    assert (tmp_path / "lock").exists()
    wait_until("the lock of the dead is free", lambda: held(tmp_path))


@needs_separate_tables
def test_containers_that_start_one_after_the_other_take_over(tmp_path: Path) -> None:
    for _ in range(3):  # each is killed with the lock in its hands, under an equal number
        with python_process(f"import time\n{TRY}", tmp_path, through=SEPARATE):
            content = json.loads((tmp_path / "lock").read_text())
            assert content["process_table"] != process_table_id()


@needs_proc
def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    code = HOLD.replace("print(held", "import os; os.fork() or time.sleep(600); print(held")
    with python_process(f"import time\n{code}", tmp_path) as other:
        path = tmp_path / "lock"
        content = json.loads(path.read_text())
        leave(tmp_path, {**content, "process_table": "pid:[1]"})  # as another container sees it
        assert not held(tmp_path)
        child = int(Path(f"/proc/{other.pid}/task/{other.pid}/children").read_text().split()[0])
        try:
            other.kill()
            other.wait()
            wait_until("the lock is free", lambda: held(tmp_path))
        finally:
            os.kill(child, signal.SIGKILL)
