"""The pool of networks in which DiM matches logits, by dataset, as in the released code.

Read in ``models/resnet.py`` and ``models/resnet_ap.py`` of vimar-gu/DiM @18afd95.
"""

from __future__ import annotations

_RESNETS = ("resnet10", "resnet18", "resnet10_ap", "resnet18_ap")


def released_pool(dataset: str) -> tuple[str, ...]:
    """Return the architectures of the pool; the field's ResNets for a dataset that DiM has not.

    For CIFAR the ResNets begin with 32 channels and keep the size of images. For all other datasets
    they have 64 channels and the stem of ImageNet, which quarters images. Images of 28 pixels are
    then too small for the pooling ones: theirs fail on MNIST and FashionMNIST, and the field's stem
    takes their place here.
    """
    if dataset in ("cifar10", "cifar100"):
        return ("convnet3", *(f"{name}(width=32)" for name in _RESNETS))
    if dataset == "svhn":
        return ("convnet3", *(f"{name}(stem=large)" for name in _RESNETS))
    if dataset in ("mnist", "fashionmnist"):
        return ("convnet3", "resnet10(stem=large)", "resnet18(stem=large)", *_RESNETS[2:])
    return ("convnet3", *_RESNETS)
