"""Collects in ``.gpu/`` what a machine without a network needs for check.py: wheels and data.

    python results/reproduced/gpu/prepare.py --python 3.12 --there PACKAGES.txt --data FILE ...

The wheels are those of the packages installed here, of the same versions, and of this checkout.
PyTorch and what comes with it are expected there, and what a file of names lists. Wheels lie in
folders of at most 40 MiB, because what travels at one time is often limited. Data are copied as
they are.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".gpu"
EXPECTED_THERE = re.compile(
    r"torch(vision)?|triton|numpy|nvidia-.*|cuda-.*|sympy|networkx|filelock|fsspec"
)
TESTS = ("pytest", "hypothesis")
FOLDER_BYTES = 40 << 20
# Newest first: pip takes exactly the platforms that it is told.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 26, 24, 17, 12)]


def plain(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name: str, seen: set[str]) -> Iterator[str]:
    """Yield ``NAME==VERSION`` of a package and of what it requires, as installed here."""
    key = plain(name)
    if key in seen or EXPECTED_THERE.fullmatch(key):
        return
    seen.add(key)
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return
    if key != "distillation-bench":
        yield f"{key}=={package.version}"
    environment = {**default_environment(), "extra": ""}
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield from needed(requirement.name, seen)


def download(names: list[str], python: str, into: Path) -> None:
    """Fetch wheels for x86-64 Linux, and build this checkout's own."""
    options = ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    for platform in (*PLATFORMS, "manylinux2014_x86_64", "manylinux1_x86_64"):
        options += ["--platform", platform]
    pip = [sys.executable, "-m", "pip", "--quiet"]
    fetch = [*pip, "download", *options, "--python-version", python, "-d", str(into), *names]
    subprocess.run(fetch, check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(into), str(ROOT)], check=True)


def share_out(wheels: list[Path]) -> list[Path]:
    """Move wheels into numbered folders of limited size; return the folders."""
    folders: list[Path] = []
    room = 0
    for wheel in sorted(wheels, key=lambda path: -path.stat().st_size):
        size = wheel.stat().st_size
        if size > room:
            folders.append(FOLDER / f"wheels-{len(folders) + 1}")
            folders[-1].mkdir()
            room = FOLDER_BYTES
        shutil.move(wheel, folders[-1])
        room -= size
    return folders


def main() -> None:
    """Make the folder anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="3.12", help="version of the other machine")
    parser.add_argument("--there", type=Path, help="a file with names of packages that it has")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="files to take along")
    args = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    everything = FOLDER / "all"
    everything.mkdir(parents=True)
    # Names between commas, spaces or line ends, as `pip list` and machine descriptions have them.
    words = re.findall(r"[\w.-]+", args.there.read_text()) if args.there else []
    seen = {plain(word) for word in words}
    names = [each for name in ("distillation-bench", *TESTS) for each in needed(name, seen)]
    download(names, args.python, everything)
    for folder in share_out(list(everything.iterdir())):
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder.relative_to(ROOT)}: {size / 2**20:.0f} MiB")
    everything.rmdir()
    for path in args.data:
        (FOLDER / "data").mkdir(exist_ok=True)
        shutil.copy(path, FOLDER / "data")
        print(f".gpu/data/{path.name}: {path.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
