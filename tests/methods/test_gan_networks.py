from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.datasets.spec import DatasetSpec
from bench.registry.registry import GENERATORS
from bench.support.errors import BenchError
from bench.support.seeds import make_generator
from methods.gan.networks import ConditionalGenerator, Discriminator, stage_grids


def spec_of(channels: int, height: int, width: int, classes: int = 10) -> DatasetSpec:
    half = (0.5,) * channels
    return DatasetSpec("made", classes, channels, height, width, half, half, flip=False)


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("shape", "generator", "discriminator"),
    [((3, 32, 32), 3_559_363, 3_137_971), ((1, 28, 28), 3_286_921, 2_969_803)],
)
def test_parameter_counts_of_the_released_code(
    shape: tuple[int, int, int], generator: int, discriminator: int
) -> None:
    spec = spec_of(*shape)
    with torch.device("meta"):
        assert size(ConditionalGenerator(spec)) == generator
        assert size(Discriminator(spec)) == discriminator


def test_released_layers_in_order() -> None:
    """Kernel and stride of every convolution at 32x32, as in gan_model.py."""
    spec = spec_of(3, 32, 32)
    kinds = nn.Conv2d | nn.ConvTranspose2d
    with torch.device("meta"):
        generator, discriminator = ConditionalGenerator(spec, 2), Discriminator(spec, 2)
    drawn = [(m.kernel_size[0], m.stride[0]) for m in generator.body if isinstance(m, kinds)]
    seen = [m.stride[0] for m in discriminator.body if isinstance(m, kinds)]
    assert drawn == [(4, 2), (3, 1), (3, 1), (3, 1), (4, 2), (3, 1), (4, 2), (3, 1)]
    assert seen == [1, 2, 1, 2, 1, 1, 1, 2]


@given(
    height=st.integers(5, 70),
    width=st.integers(5, 70),
    channels=st.sampled_from([1, 3]),
)
@settings(max_examples=15, deadline=None)
def test_any_size_fits_both_networks(height: int, width: int, channels: int) -> None:
    spec = spec_of(channels, height, width, classes=3)
    generator, discriminator = ConditionalGenerator(spec, 2, 4), Discriminator(spec, 2)
    images = generator.sample(torch.tensor([0, 2]), make_generator(0))
    source, classes = discriminator(images)
    assert images.shape == (2, channels, height, width)
    assert source.shape == (2,)
    assert classes.shape == (2, 3)
    assert images.abs().max() <= 1


def test_stages_follow_the_size() -> None:
    assert stage_grids(spec_of(1, 16, 16)) == [(16, 16), (8, 8), (4, 4)]
    assert stage_grids(spec_of(1, 28, 28))[1:] == [(14, 14), (7, 7), (4, 4)]
    assert len(stage_grids(spec_of(3, 64, 64))) == 5


def test_images_without_a_stage_are_refused() -> None:
    with pytest.raises(BenchError, match="more than 4 pixels a side, but made has 4x4"):
        Discriminator(spec_of(1, 4, 4))


@pytest.mark.parametrize("noise_dim", [9, 10])
def test_noise_must_remain(noise_dim: int) -> None:
    with pytest.raises(BenchError, match=f"noise_dim = {noise_dim} leaves no noise.*at least 11"):
        ConditionalGenerator(spec_of(1, 8, 8), 2, noise_dim)


def test_first_entries_of_the_noise_are_the_label() -> None:
    generator = ConditionalGenerator(spec_of(1, 8, 8, classes=3), 2, noise_dim=40)
    labels = torch.tensor([2, 0, 1] * 50)
    latent = generator.latent(labels, make_generator(1))
    plain = torch.randn(150, 40, generator=make_generator(1))
    assert torch.equal(latent[:, :3], torch.eye(3)[labels])
    assert torch.equal(latent[:, 3:], plain[:, 3:])


def test_sampling_is_determined_by_the_generator() -> None:
    network = ConditionalGenerator(spec_of(1, 8, 8), 4, 16).eval()
    labels = torch.arange(10)
    first, again = (network.sample(labels, make_generator(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, network.sample(labels, make_generator(6)))


def test_discriminator_treats_every_sample_alone() -> None:
    spec = spec_of(1, 16, 16)
    network, images = Discriminator(spec, 4), torch.rand(6, *spec.shape)
    whole, parts = network(images), [network(part) for part in images.split(2)]
    for k in range(2):
        torch.testing.assert_close(whole[k], torch.cat([part[k] for part in parts]))


def test_registered_as_a_generator() -> None:
    factory = GENERATORS.get("conditional-gan")
    network = factory(spec_of(1, 8, 8), width=3, noise_dim=12)
    assert isinstance(network, ConditionalGenerator)
    assert network.config == {"width": 3, "noise_dim": 12}
