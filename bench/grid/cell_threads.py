"""How many threads of a CPU compute a cell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bench.grid.site import OpenSite
from bench.ledger.cell import Cell, DistilCell


@contextmanager
def cell_threads(cell: Cell, site: OpenSite) -> Iterator[None]:
    """Distil with one thread in the profile ``smoke`` (none of it changed), unless told otherwise.

    Its images are so few that threads mostly wait for each other. With one thread, sums are rounded
    alike whatever the number of cores; a GAN amplifies the difference to ten points of accuracy.
    An evaluation does not depend on the number: each of its networks has one thread.

    Args:
        cell: what is computed inside.
        site: where; its device and the threads that the user asks for.
    """
    is_smoke = isinstance(cell, DistilCell) and cell.profile == "smoke"
    if not is_smoke or site.site.threads is not None or site.device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
