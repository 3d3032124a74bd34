"""The same bits every time, on a GPU too."""

from __future__ import annotations

import os


def use_deterministic_algorithms() -> None:
    """Let torch use only operations that give the same bits every time; slower on a GPU.

    To be called before the first work on a GPU: cuBLAS reads its setting when it starts.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
