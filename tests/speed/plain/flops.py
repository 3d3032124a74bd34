"""How many floating-point operations an image needs in each stage, counted as torch computes it.

Convolutions and matrix products, a multiply-add being two. The plain loops are counted without the
gradients that they compute and throw away (of the discriminator and of the matched network, in the
generator's step): what is done needlessly is no merit. Counts are proportional to the number of
images, so a few are counted where that holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.datasets.real_set import RealSet
from bench.evaluation.protocols import get_protocol
from bench.support.seeds import global_seed, make_generator
from plain.dim import PlainDiM
from plain.dm import PlainDM
from plain.evaluation import train_plain
from plain.gan import PlainGAN
from plain.networks import PlainConvNet

_FEW = 4
_NET_STEPS = 16


def train_flops(real: RealSet) -> float:
    """Count one training image of ConvNet-3."""
    few = torch.arange(_FEW)
    with global_seed(0):
        network = PlainConvNet(real.spec.num_classes)
    protocol, draws = get_protocol("default"), make_generator(0)
    images, labels = real.gather(few), real.labels[few]
    return count(lambda: train_plain(network, images, labels, protocol, 1, draws)) / _FEW


def dm_flops(real: RealSet) -> float:
    """Count an image of a DM iteration at IPC 10 with 256 real images a class, on average."""
    return count(PlainDM(real, 10, 256).step) / (10 * (10 + 256))


def gan_flops(real: RealSet) -> float:
    """Count a real image of the GAN at the paper's width."""
    return _gan_step(PlainGAN(real, _FEW)) / _FEW


def matching_flops(real: RealSet) -> float:
    """Count an image of a matching iteration: 16 batches for the network, one for the GAN."""
    trained = count(PlainDiM(real, _FEW, net_steps=_NET_STEPS).train_network)
    matched = PlainDiM(real, _FEW, net_steps=0)
    matched.network.requires_grad_(False)
    return (trained + _gan_step(matched)) / (_FEW * (_NET_STEPS + 1))


def count(work: Callable[[], object]) -> float:
    """Return the operations of what ``work`` computes in this thread."""
    with _Counter() as counter:
        work()
    return float(counter.flops)


def _gan_step(gan: PlainGAN) -> float:
    real, labels = gan.batch()
    gan.discriminator.requires_grad_(False)
    generator = count(lambda: gan.generator_step(real, labels))
    gan.discriminator.requires_grad_(True)
    return generator + count(lambda: gan.discriminator_step(real, labels))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own formulas.

    ``FlopCounterMode``, which has them, also hooks into modules to say which of them computed
    what; that fails in a gradient penalty, whose input to a module is a leaf of the graph.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute, and count what has a formula."""
        given = kwargs or {}
        out = func(*args, **given)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **given, out_val=out)
        return out
