"""The conditional GAN that DiM starts from."""

from methods.gan.method import ConditionalGAN
from methods.gan.networks import ConditionalGenerator

__all__ = ["ConditionalGAN", "ConditionalGenerator"]
