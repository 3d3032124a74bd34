"""A digest of tensors: safetensors itself does not notice a flipped bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def tensors_digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256, in hex, of a text and of every tensor's name, type, shape and values."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content: Any = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        found.update(content)
    return found.hexdigest()
