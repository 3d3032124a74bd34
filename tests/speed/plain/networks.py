"""ConvNet-3 and DiM's two GAN networks for 32x32 images, from stock layers.

Parameters have the names of this package's networks, so that either loads the other's.
"""

from __future__ import annotations

from torch import Tensor, nn


class PlainConvNet(nn.Module):
    """The field's ConvNet: three blocks of convolution, instance norm, ReLU and average pooling.

    Args:
        num_classes: entries of the logits.
        width: channels of every convolution.
    """

    def __init__(self, num_classes: int = 10, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (3, width, width):
            layers += [
                nn.Conv2d(channels, width, 3, padding=1),
                nn.GroupNorm(width, width),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(2, 2),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * 4 * 4, num_classes)

    def embed(self, images: Tensor) -> Tensor:
        """Map ``(N, 3, 32, 32)`` to ``(N, width * 16)``."""
        features: Tensor = self.features(images)
        return features.view(len(features), -1)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(N, 3, 32, 32)`` to logits ``(N, num_classes)``."""
        logits: Tensor = self.classifier(self.embed(images))
        return logits


class PlainGenerator(nn.Module):
    """DiM's conditional generator.

    Args:
        latent: entries of the noise, the one-hot label among them.
        width: channels of every hidden layer.
    """

    def __init__(self, latent: int = 100, width: int = 196) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(
            nn.Linear(latent, width * 16), nn.BatchNorm1d(width * 16), nn.ReLU()
        )
        body: list[nn.Module] = []
        for kind in ("up", "same", "same", "same", "up", "same", "up"):
            layer = (
                nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
                if kind == "up"
                else nn.Conv2d(width, width, 3, padding=1)
            )
            body += [layer, nn.BatchNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*body, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Map ``(N, latent)`` to images in [-1, 1], ``(N, 3, 32, 32)``."""
        images: Tensor = self.body(self.stem(latent).view(-1, self.width, 4, 4))
        return images


class PlainDiscriminator(nn.Module):
    """DiM's discriminator: a source score and class logits.

    Args:
        num_classes: entries of the logits.
        width: channels of every hidden layer.
    """

    def __init__(self, num_classes: int = 10, width: int = 196) -> None:
        super().__init__()
        body: list[nn.Module] = []
        channels = 3
        for size, stride in ((32, 1), (16, 2), (16, 1), (8, 2), (8, 1), (8, 1), (8, 1), (4, 2)):
            body += [
                nn.Conv2d(channels, width, 3, stride=stride, padding=1),
                nn.LayerNorm([width, size, size]),
                nn.LeakyReLU(),
            ]
            channels = width
        self.body = nn.Sequential(*body)
        self.pool = nn.MaxPool2d(4, 4)
        self.source = nn.Linear(width, 1)
        self.classes = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, 3, 32, 32)`` to scores ``(N, 1)`` and logits ``(N, num_classes)``."""
        features = self.pool(self.body(images))
        features = features.view(len(features), -1)
        return self.source(features), self.classes(features)
