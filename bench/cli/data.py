"""``bench data``: list, fetch, import and verify the datasets in the data folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.completion import completion
from bench.cli.options import data_dir_option, examples, load_plugins, plugin_option
from bench.support.errors import BenchError
from bench.support.safe_text import printable
from bench.support.screen_table import ScreenTable, essential_columns

if TYPE_CHECKING:
    from bench.datasets.data_folder import DatasetInfo, Listed
    from bench.datasets.source import Progress

_COLUMNS = ("name", "state", "classes", "shape", "train", "test")


@click.group(epilog=examples("bench data fetch cifar10", "bench data list"))
def data() -> None:
    """Fetch, import, list and verify datasets."""


@data.command("list", epilog=examples("bench data list"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
@plugin_option
def list_(as_json: bool, data_dir: Path | None, plugins: tuple[Path, ...]) -> None:
    """List every dataset that is registered or in the data folder."""
    from bench.datasets import data_folder

    load_plugins(plugins)
    listed = data_folder.list_datasets(data_folder.data_dir(data_dir))
    if as_json:
        click.echo(json.dumps([_facts(one) for one in listed], indent=2))
        return
    rows = [_row(one) for one in listed]
    from rich.console import Console
    from rich.text import Text

    texts = [[Text(printable(row[column])) for column in _COLUMNS] for row in rows]
    Console().print(ScreenTable(essential_columns(_COLUMNS, ("name", "state")), texts))
    for row in rows:
        for text in filter(None, (row["problem"], row["note"])):
            click.echo(f"{row['name']}: {printable(text)}")


@data.command(epilog=examples("bench data fetch mnist cifar10"))
@click.argument(
    "names", metavar="NAME...", nargs=-1, required=True, shell_complete=completion("dataset")
)
@click.option("--replace", is_flag=True, help="Fetch even if the data folder has the dataset.")
@data_dir_option
@plugin_option
def fetch(
    names: tuple[str, ...], replace: bool, data_dir: Path | None, plugins: tuple[Path, ...]
) -> None:
    """Download datasets, check them and pack each into one file."""
    from bench.datasets import data_folder, library

    load_plugins(plugins)
    folder = data_folder.data_dir(data_dir)
    for name in names:
        with progress_bars() as progress:
            info = library.fetch(name, folder, progress, replace=replace)
        click.echo(_line(info))


@data.command(
    "import",
    epilog=examples(
        "bench data import pets pets.npz", "bench data import pets folder/ --no-flip --replace"
    ),
)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--note",
    default="",
    help='What a reader must know about the data, such as "went through JPEG".',
)
@click.option(
    "--flip/--no-flip",
    default=None,
    help="For a new name: whether a mirrored image keeps its class (default: no).",
)
@click.option("--replace", is_flag=True, help="Overwrite a dataset of that name.")
@data_dir_option
def import_(
    name: str, file: Path, note: str, flip: bool | None, replace: bool, data_dir: Path | None
) -> None:
    """Pack FILE, an .npz or a folder of images, as dataset NAME.

    An .npz holds x_train and x_test, uint8 (N, H, W) or (N, H, W, C), and y_train and y_test,
    labels 0..K-1. A folder holds train/CLASS/*.png and test/CLASS/*.png. If bench knows NAME
    (mnist, cifar10, ...), FILE must fit it; any other name is a dataset of your own.
    """
    from bench.datasets import data_folder, library

    with progress_bars() as progress:
        info = library.import_file(
            name,
            file,
            data_folder.data_dir(data_dir),
            note=note,
            flip=flip,
            replace=replace,
            progress=progress,
            report=lambda line: click.echo(f"note: {printable(line)}", err=True),
        )
    click.echo(_line(info))


@data.command(epilog=examples("bench data verify", "bench data verify cifar10"))
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=completion("dataset"))
@data_dir_option
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Hash whole datasets and compare them with their recorded sha256."""
    from bench.datasets import data_folder, library

    folder = data_folder.data_dir(data_dir)
    library.check_packed(names, folder)
    problems = []
    for name in names or data_folder.packed_names(folder):
        try:
            info = library.verify(name, folder)
        except BenchError as error:
            problems.append(str(error))
            click.echo(f"{name}: FAILED")
        else:
            state = "ok" if info.verified else "unverified (its .sha256 file is missing)"
            click.echo(f"{name}: {state} {info.sha256}")
    if problems:
        raise BenchError("\n".join(problems))


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Yield a function that draws a progress bar per label on standard error, if a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:

        def show(label: str, done: int, total: int | None) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield show


def _facts(listed: Listed) -> dict[str, Any]:
    info, spec = listed.info, listed.spec
    return {
        "name": listed.name,
        "state": listed.state,
        "classes": spec.num_classes if spec else None,
        "shape": list(spec.shape) if spec else None,
        "train": info.n_train if info else None,
        "test": info.n_test if info else None,
        "from": listed.origin,
        "note": spec.note if spec else "",
        "problem": listed.problem,
        "sha256": info.sha256 if info else None,
    }


def _row(listed: Listed) -> dict[str, str]:
    return {name: _text(value) for name, value in _facts(listed).items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _line(info: DatasetInfo) -> str:
    spec = info.spec
    text = (
        f"{spec.name}: {info.n_train:,} train, {info.n_test:,} test, {spec.num_classes} classes, "
        f"{'x'.join(map(str, spec.shape))}, sha256 {info.sha256[:12]}, {info.path}"
    )
    return f"{text}\n  note: {spec.note}" if spec.note else text
