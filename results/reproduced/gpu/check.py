"""Measures on a GPU what this repository has measured on two CPU cores only, in calls of minutes.

    python3 results/reproduced/gpu/check.py tests --out OUT
    python3 results/reproduced/gpu/check.py speed --out OUT
    python3 results/reproduced/gpu/check.py dim --dataset cifar10 --out OUT --minutes 8

``dim`` computes into a store and goes on where the call before it stopped. At its end it writes
what should come home: the table, the plots, all records, and as many generators as fit. See
README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
# What comes home is limited to few files, each of them small.
PART_BYTES = 15 << 20
GENERATOR_BYTES = 40 << 20
# The released ResNets for CIFAR-10 begin with 32 channels, those for SVHN with a large stem.
RESNETS = {"cifar10": "resnet18(width=32)", "svhn": "resnet18(stem=large)"}


class Part(NamedTuple):
    """Some of the cells, so that those that say most come first.

    Attributes:
        methods: of ``bench run``, joined by commas.
        ipc: likewise.
        archs: that are evaluated; ``resnet18`` stands for the released one.
        protocol: of the evaluation.
        more: further options.
    """

    methods: str
    ipc: str
    archs: str = "convnet3"
    protocol: str = "dim"
    more: tuple[str, ...] = ()


# One artefact at every budget: the released scripts show 1, 10, 13, 38, 50 or 51 images per class
# an epoch, whatever IPC is asked for (docs/methods/dim.md). The whole matching can take too long,
# so its first percents are evaluated too.
PARTS = (
    Part("gan,real-stream", "10"),
    Part("dim", "10", more=("--evaluate-at", "2,5,10,25,50")),
    Part("gan,dim,real-stream", "1,10,13,38,50,51"),
    Part("gan,dim,real-stream", "10", archs="resnet18"),
    Part("gan,dim,real-stream", "10", protocol="dim-by-class"),
    Part("gan,dim,real-stream", "1,10,50", protocol="default"),
)


def bench(*words: str) -> list[str]:
    """Return a command line of bench, of this checkout."""
    return [sys.executable, "-m", "bench", *words]


def execute(command: Sequence[str], log: Path, seconds: float | None = None) -> int:
    """Run a command with its output on the screen and in a file; return its exit code.

    A command that takes longer than ``seconds`` is asked to stop, as by Ctrl-C, so that it saves
    its state or says how far it came.
    """
    print("$", *command, flush=True)
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell has what it starts in the background ignore Ctrl-C, and so has its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout is not None
        timer = threading.Timer(seconds or 0, process.send_signal, [signal.SIGINT])
        if seconds is not None:
            timer.start()
        for line in process.stdout:
            print(line, end="", flush=True)
            print(line, end="", file=file, flush=True)
        code = process.wait()
        timer.cancel()
        return code


def run_tests(args: argparse.Namespace) -> int:
    """Run the tests that need a GPU; the conformance of all methods and networks is among them."""
    files = [p for p in sorted(ROOT.glob("tests/**/test_*.py")) if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "-rs", "-p", "no:cacheprovider"]
    names = [str(path.relative_to(ROOT)) for path in files]
    return execute([*command, *names, *args.rest], args.out / "tests.txt", 60 * args.minutes)


def run_speed(args: argparse.Namespace) -> int:
    """Measure every stage in each precision."""
    precision = "fp32,tf32,bf16" if args.device == "cuda" else "fp32"
    speed = bench("speed", "--device", args.device, "--precision", precision, *args.rest)
    report = ["--json", "-o", str(args.out / "speed.md")]
    return execute([*speed, *report], args.out / "speed.txt", 60 * args.minutes)


def run_dim(args: argparse.Namespace) -> int:
    """Distil by DiM and its GAN, and evaluate them beside real images at the same budgets."""
    network = RESNETS.get(args.dataset, "resnet18")
    end, code = time.monotonic() + 60 * args.minutes, 0
    for part in PARTS:
        left = round(end - time.monotonic())
        if left < 1 or code:
            break
        command = bench(
            "run", "--method", part.methods, "--dataset", args.dataset,
            "--ipc", args.ipc or part.ipc, "--protocol", part.protocol,
            "--eval-arch", part.archs.replace("resnet18", network),
            "--mode", "stream", "--eval-nets", "2", "--profile", args.profile,
            "--precision", args.precision, "--device", args.device, "--store", str(args.store),
            "--workers", "0", "--checkpoint-every", "30", "--time-budget", f"{left}s",
            *part.more, *args.rest,
        )  # fmt: skip
        code = execute(command, args.out / f"dim-{args.dataset}.txt")
    return bring_home(args) or code


def bring_home(args: argparse.Namespace) -> int:
    """Write table, plot, records and generators into the folder that comes back."""
    records = sorted(args.store.glob("cells/*/record.json"))
    if not records:
        return 0
    store, log = ["--store", str(args.store)], args.out / "home.txt"
    code = execute(bench("table", *store, "-o", str(args.out / "table.md")), log)
    # There is none before two sets of one run are evaluated.
    execute(bench("plot", "learning", *store, "-o", str(args.out / "plots")), log)
    name = args.out / "store.tar"
    with tarfile.open(name, "w") as archive:
        for path in (*records, *generators(args.store)):
            archive.add(path, path.relative_to(args.store.parent))
    split(name)
    return code


def generators(store: Path) -> Iterator[Path]:
    """Yield the newest artefacts of generators that fit; real-stream's are whole datasets."""
    room = GENERATOR_BYTES
    made = [path.with_name("artefact.safetensors") for path in store.glob("cells/*/record.json")]
    for path in sorted(filter(Path.is_file, made), key=lambda path: -path.stat().st_mtime):
        record = json.loads(path.with_name("record.json").read_text())
        if record["identity"].get("method") == "real-stream" or path.stat().st_size > room:
            continue
        room -= path.stat().st_size
        yield path


def split(path: Path) -> None:
    """Cut a large file into parts, ``NAME.00``, ``NAME.01``, ...; ``cat`` puts them together."""
    data = path.read_bytes()
    if len(data) <= PART_BYTES:
        return
    for i, start in enumerate(range(0, len(data), PART_BYTES)):
        path.with_name(f"{path.name}.{i:02d}").write_bytes(data[start : start + PART_BYTES])
    path.unlink()


STEPS = {"tests": run_tests, "speed": run_speed, "dim": run_dim, "home": bring_home}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; further words go to the command of bench that it calls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--out", type=Path, required=True, help="where reports go")
    parser.add_argument("--store", type=Path, default=ROOT / ".gpu" / "store")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--ipc", help="of every part, instead of each its own")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--precision", default="tf32", help="of dim: fp32, tf32 or bf16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="of this call")
    args, args.rest = parser.parse_known_args(argv)
    args.out, args.store = args.out.resolve(), args.store.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    step = STEPS[args.step]
    return step(args)


if __name__ == "__main__":
    sys.exit(main())
