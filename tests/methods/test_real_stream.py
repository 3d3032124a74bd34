"""The method real-stream: it takes the real set as it is, for every IPC and architecture."""

from __future__ import annotations

import torch
from builders import begin, tiny_context, tiny_real_set

from bench.distilled.real_stream_set import RealStreamSet
from methods.real_stream import RealStream


def test_it_is_the_real_set_itself() -> None:
    real = tiny_real_set()
    method = begin(RealStream, tiny_context(real), None, None)
    assert method.step(0) == {}
    made = method.result()
    assert isinstance(made, RealStreamSet)
    assert torch.equal(made.images, real.images)
    assert torch.equal(made.labels, real.labels)
    assert made.storage_bytes == real.images.numel()


def test_it_does_not_depend_on_the_seed() -> None:
    """The draws follow from the evaluation's networks, so that seeds share the images."""
    first, second = (begin(RealStream, tiny_context(seed=s), None, None).result() for s in (0, 1))
    assert all(torch.equal(first.tensors()[k], v) for k, v in second.tensors().items())
