"""The hyper-parameters of IDC, by dataset where the released code sets them so.

J.-H. Kim et al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022;
the released code is snu-mllab/Efficient-Dataset-Condensation, argument.py and misc/reproduce.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.plugin import by_ipc, by_task, init_param, param
from methods.shared.dsa_param import dsa_param


@dataclass(frozen=True)
class _Setting:
    """What the released code sets for a dataset (misc/reproduce.py)."""

    metric: str = "mse"
    lr_img: float = 5e-3
    train_images: int = 500
    augment: str = "color_crop_cutout"
    cutmix: float = 0.5


# The rate follows the number of pixels (tune_lr_img in argument.py), from 28x28 for MNIST and from
# 32x32 for FashionMNIST, whose images are 28x28. The digits are ours, and taken for a small MNIST.
_SETTINGS = {
    "cifar10": _Setting(train_images=2000),
    "cifar100": _Setting(train_images=2000),
    "mnist": _Setting("l1", 1e-4, augment="color_crop", cutmix=0.0),
    "fashionmnist": _Setting("l1", 1e-4 * (28 / 32) ** 2),
    "digits": _Setting("l1", 1e-4 * (16 / 28) ** 2, augment="color_crop", cutmix=0.0),
}


def _of(dataset: str) -> _Setting:
    """Return a dataset's setting; the one for SVHN serves all that the released code lacks."""
    return _SETTINGS.get(dataset, _Setting())


def unpublished(dataset: str) -> str | None:
    """Return the dataset if the released code sets nothing for it here; ``None`` if it does.

    Its ImageNet-10 is among those: its networks first train for ten epochs, which IDC lacks here.
    """
    published = dataset != "digits" and (dataset in _SETTINGS or dataset == "svhn")
    return None if published else f"{dataset} (see the page of idc)"


def paper_rate(dataset: str, ipc: int) -> float:
    """Return the learning rate of the stored pixels."""
    return _of(dataset).lr_img * ipc / 10


@dataclass(frozen=True)
class IDCParams:
    """The released code's values; the method's page says where each comes from."""

    iterations: int = param(2000, help="networks, each freshly initialised", min=1)
    inner: int = param(100, help="matching steps with each network", min=1)
    factor: int = param(2, help="parts along each side of a stored image (1: IDC-I)", min=1)
    metric: str = param(
        by_task(lambda name, _: _of(name).metric, "l1 for MNIST, FashionMNIST, digits; or mse"),
        help="how gradients are compared: sum of absolute or of squared differences",
        choices=("l1", "mse"),
    )
    lr_img: float = param(
        by_task(
            paper_rate,
            "IPC / 10 x 5e-3; x 1e-4 for MNIST, 7.66e-5 FashionMNIST, 3.27e-5 digits",
        ),
        help="learning rate of the stored pixels, in [0, 1] units",
        min=0,
    )
    momentum: float = param(0.5, help="momentum of the stored pixels", min=0, max=1)
    batch_real: int = param(
        64, help="real images per class and matching step; all there are, if fewer", min=1
    )
    batch_decoded: int = param(
        128, help="decoded images per class and matching step, at most: drawn anew", min=1
    )
    augment: str = dsa_param(
        by_task(lambda name, _: _of(name).augment, "color_crop_cutout; MNIST: color_crop"),
        help="augmentations joined by '_', all applied to what is matched, or none",
    )
    train_images: int = param(
        by_task(lambda name, _: _of(name).train_images, "2000 for CIFAR, 500 for others"),
        help="real images that the network trains on between two steps",
        min=0,
    )
    batch_train: int = param(64, help="real images per step of the networks", min=1)
    cutmix: float = param(
        by_task(lambda name, _: _of(name).cutmix, "0.5; 0 for MNIST and digits"),
        help="probability of CutMix in the networks' training, which then leaves out cutout",
        min=0,
        max=1,
    )
    lr_net: float = param(0.01, help="learning rate of the networks (SGD)", min=0)
    momentum_net: float = param(0.9, help="momentum of the networks", min=0, max=1)
    weight_decay: float = param(5e-4, help="weight decay of the networks", min=0)
    init: str = init_param("real")


# About four minutes for ten classes of 32x32 on two CPU cores. In so few steps the paper's rate
# would hardly move a pixel.
LITE: Mapping[str, Any] = {
    "iterations": by_ipc(lambda ipc: 110 // (5 + min(ipc, 8)), "110 / (5 + IPC), from IPC 8 on 8"),
    "inner": 10,
    "lr_img": by_task(lambda name, ipc: 4 * paper_rate(name, ipc), "4 times the paper's"),
    "batch_real": 32,
    "batch_decoded": 32,
    "train_images": 256,
}
SMOKE: Mapping[str, Any] = {
    "iterations": 2,
    "inner": 2,
    "batch_real": 8,
    "batch_decoded": 8,
    "train_images": 16,
    "batch_train": 8,
}
