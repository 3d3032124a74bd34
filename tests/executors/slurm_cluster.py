"""A SLURM of its own for tests: munged, slurmctld and slurmd on 127.0.0.1, all in one folder.

Nothing outside that folder is read or written: ports, key, socket, spool and state are its own, so
it disturbs no other SLURM. There is no accounting: ``sacct`` fails, as it does on some clusters.
Every process that belongs to it carries the folder in its environment, and is found by that.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
_CONFIGURATION = """\
ClusterName=benchtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# Everything soon: tests wait for it.
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=10
# Not too soon: on a busy machine, slurmd takes seconds to answer, and its jobs would be requeued.
SlurmdTimeout=20
ReturnToService=2
MaxArraySize={max_array}
# Work in 'urgent' preempts work in 'main'; GraceTime is between SIGTERM and SIGKILL.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""


def why_not() -> str | None:
    """Return why no SLURM can be started here; ``None`` if one can."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"needs Debian's slurm-wlm and munge: {', '.join(absent)} not found"
    if os.geteuid() != 0:
        return "needs root, to start slurmctld and slurmd"
    if importlib.util.find_spec("submitit") is None:
        return "needs the slurm extra: pip install -e '.[slurm]'"
    return None


@dataclass
class SlurmCluster:
    """Daemons and their folder; :func:`running_cluster` makes one.

    Attributes:
        folder: holds everything.
        max_array: SLURM's MaxArraySize, one more than the largest index of an array.
    """

    folder: Path
    max_array: int = 1001
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which SLURM's commands talk to this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Write the configuration, start the daemons, wait until the node is idle."""
        self._configure()
        munge = self.folder / "munge"
        # The whole path to the socket must be open to all, or munged refuses: hence --force.
        self._launch(
            "munged", "--foreground", "--force", f"--key-file={munge}/key",
            f"--socket={munge}/socket", f"--pid-file={munge}/pid", f"--seed-file={munge}/seed",
        )  # fmt: skip
        self.wait_until("munged answers", lambda: (munge / "socket").exists())
        self.start_slurmctld()
        self.start_slurmd()

    def start_slurmd(self) -> None:
        """Start the node's daemon and wait until the node can work."""
        self._launch("slurmd", "-D", "-N", "node1")
        self.wait_until("the node is up", lambda: self.node_state() in ("idle", "mixed", "alloc"))

    def kill_slurmd(self) -> None:
        """Kill the node's daemon; what runs on the node goes on."""
        self._daemons["slurmd"].kill()
        self._daemons.pop("slurmd").wait()

    @contextmanager
    def without_slurmctld(self) -> Iterator[None]:
        """Stop the controller inside the block, so that no command of SLURM is answered.

        SIGTERM lets it save its state. One that is killed within seconds of a job's start takes
        the job for pending when it comes back, starts it again, and drains the node: SLURM's own
        limit, that no client can mend.
        """
        daemon = self._daemons.pop("slurmctld")
        daemon.terminate()
        try:
            daemon.wait(60)
            yield
        finally:
            daemon.kill()
            self.start_slurmctld()

    def start_slurmctld(self) -> None:
        """Start the controller; it knows the jobs of the one before it."""
        self._launch("slurmctld", "-D")
        self.wait_until("slurmctld answers", lambda: self.node_state() != "")

    def crash_node(self) -> None:
        """Kill the node's daemon and all jobs on it, as a power cut does."""
        ours = {daemon.pid for daemon in self._daemons.values()}
        self.kill_slurmd()
        for pid in self._members() - ours:
            if b"SLURM_JOB_ID=" in _environment(pid) or _name(pid).startswith("slurmstepd"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def node_state(self) -> str:
        """Return the node's state in short: ``idle``, ``mixed``, ``alloc``, ``down*``."""
        lines = self.run("sinfo", "--noheader", "--partition=main", "--format=%t").splitlines()
        return lines[0].replace("mix", "mixed") if lines else ""

    def run(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints; nothing if it fails."""
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def wait_until(self, what: str, happens: object, seconds: float = 60.0) -> None:
        """Wait for a condition, or fail with the daemons' last words."""
        assert callable(happens)
        deadline = time.monotonic() + seconds
        while not happens():
            if time.monotonic() > deadline:
                pytest.fail(f"SLURM: waited {seconds:.0f} s until {what}\n{self.last_words()}")
            time.sleep(0.1)

    def last_words(self) -> str:
        """Return the end of each daemon's log, and the queue."""
        logs = [f"== {p.name}\n{p.read_text()[-2000:]}" for p in self.folder.glob("*.log")]
        return "\n".join([*logs, self.run("squeue", "--all", "--states=all")])

    def stop(self) -> None:
        """End every job and daemon, whatever state they are in."""
        for name in ("slurmd", "slurmctld", "munged"):
            daemon = self._daemons.pop(name, None)
            if daemon is not None:
                daemon.kill()
                daemon.wait()
        deadline = time.monotonic() + 10.0
        while (left := self._members()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _configure(self) -> None:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        ctld_port, slurmd_port = _free_ports(2)
        text = _CONFIGURATION.format(
            folder=self.folder, host=socket.gethostname(), ctld_port=ctld_port,
            slurmd_port=slurmd_port, max_array=self.max_array,
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(text)

    def _launch(self, name: str, *arguments: str) -> None:
        # Should the tests be killed, the daemons go with them.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*bound, str(shutil.which(name)), *arguments],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _members(self) -> set[int]:
        """Return the processes that carry this cluster's folder, but for the tests themselves."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        pids = {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}
        return {p for p in pids if p != os.getpid() and mark in _environment(p).split(b"\0")}


@contextmanager
def running_cluster(max_array: int = 1001) -> Iterator[SlurmCluster]:
    """Run a SLURM; skips the test, with the reason, where none can be started."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="bench-slurm-"))  # short: a socket's path has a limit
    folder.chmod(0o755)
    cluster = SlurmCluster(folder, max_array)
    before = os.environ.get("SLURM_CONF")
    try:
        cluster.start()
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        yield cluster
    finally:
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
