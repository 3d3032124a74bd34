"""Measures on a GPU what this repository has measured on two CPU cores only, in calls of minutes.

    python results/reproduced/gpu/check.py tests --out OUT
    python results/reproduced/gpu/check.py speed --out OUT
    python results/reproduced/gpu/check.py dim --dataset cifar10 --out OUT --minutes 8
    python results/reproduced/gpu/check.py pack --out OUT

``dim`` computes into a store and goes on where the call before it stopped. ``pack`` writes the
table, the plots, and the store as an archive in parts of at most 15 MiB. See README.md beside this
file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
PART_BYTES = 15 << 20
# One artefact at every budget: the released scripts show 1, 10, 13, 38, 50 or 51 images per class
# an epoch, whatever IPC is asked for (docs/methods/dim.md).
IPC = "1,10,13,38,50,51"
# The released ResNets for CIFAR-10 begin with 32 channels, those for the others with 64.
RESNETS = {"cifar10": "resnet18(width=32)"}


def bench(*words: str) -> list[str]:
    """Return a command line of bench, of this checkout."""
    return [sys.executable, "-m", "bench", *words]


def execute(command: Sequence[str], log: Path, seconds: float | None = None) -> int:
    """Run a command with its output on the screen and in a file; return its exit code.

    A command that takes longer than ``seconds`` is asked to stop, as by Ctrl-C, so that it saves
    its state.
    """
    print("$", *command, flush=True)
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        end = None if seconds is None else time.monotonic() + seconds
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            if end is not None and time.monotonic() > end:
                process.terminate()
                end = None
        return process.wait()


def run_tests(args: argparse.Namespace) -> int:
    """Run the tests that need a GPU; the conformance of all methods and networks is among them."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-rs", "-p", "no:cacheprovider"]
    return execute([*command, "tests"], args.out / "tests.txt", 60 * args.minutes)


def run_speed(args: argparse.Namespace) -> int:
    """Measure every stage in each precision."""
    precision = "fp32,tf32,bf16" if args.device == "cuda" else "fp32"
    speed = bench("speed", "--device", args.device, "--precision", precision, *args.rest)
    report = ["--json", "-o", str(args.out / "speed.md")]
    return execute([*speed, *report], args.out / "speed.txt")


def run_dim(args: argparse.Namespace) -> int:
    """Distil by DiM and its GAN, and evaluate them beside real images at the same budgets."""
    network = RESNETS.get(args.dataset, "resnet18")
    code = 0
    end = time.monotonic() + 60 * args.minutes
    for protocol in ("dim", "default"):
        left = max(1, round(end - time.monotonic()))
        command = bench(
            "run", "--method", "real-stream,gan,dim", "--dataset", args.dataset, "--ipc", args.ipc,
            "--eval-arch", f"convnet3,{network}", "--protocol", protocol, "--mode", "stream",
            "--profile", args.profile, "--precision", args.precision, "--device", args.device,
            "--store", str(args.store), "--workers", "0", "--checkpoint-every", "30",
            "--time-budget", f"{left}s", *args.rest,
        )  # fmt: skip
        code = code or execute(command, args.out / f"dim-{args.dataset}.txt")
    return code


def pack(args: argparse.Namespace) -> int:
    """Write the table, the plots and the store into the folder that comes back."""
    store = ["--store", str(args.store)]
    code = execute(bench("table", *store, "-o", str(args.out / "table.md")), args.out / "pack.txt")
    plots = bench("plot", "accuracy", *store, "-o", str(args.out / "plots"))
    code = code or execute(plots, args.out / "pack.txt")
    name = args.out / "store.tar.xz"
    done = subprocess.run(
        ["tar", "-C", str(args.store.parent), "-cJf", str(name), args.store.name], check=False
    )
    split(name)
    return code or done.returncode


def split(path: Path) -> None:
    """Cut a large file into parts, ``NAME.00``, ``NAME.01``, ...; ``cat`` puts them together."""
    data = path.read_bytes()
    if len(data) <= PART_BYTES:
        return
    for i, start in enumerate(range(0, len(data), PART_BYTES)):
        path.with_name(f"{path.name}.{i:02d}").write_bytes(data[start : start + PART_BYTES])
    path.unlink()


STEPS = {"tests": run_tests, "speed": run_speed, "dim": run_dim, "pack": pack}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; further words go to the command of bench that it calls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--out", type=Path, required=True, help="where reports go")
    parser.add_argument("--store", type=Path, default=ROOT / ".gpu" / "store")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--ipc", default=IPC)
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
