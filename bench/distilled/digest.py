"""A digest of tensors, because safetensors itself does not detect a flipped bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def tensors_digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of a text and of every tensor's name, dtype, shape and values, in hex."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content: Any = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(content)
    return digest.hexdigest()
