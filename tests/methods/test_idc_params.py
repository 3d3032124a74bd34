"""IDC's parameters are the released code's for each dataset, and lite says what it changes."""

from __future__ import annotations

import pytest

from bench.distillation.profiles import resolve_profile
from bench.registry.param_values import resolve
from methods.idc.method import IDC


@pytest.mark.parametrize(
    ("dataset", "metric", "rate", "train", "augment", "cutmix"),
    [
        ("cifar10", "mse", 5e-3, 2000, "color_crop_cutout", 0.5),
        ("cifar100", "mse", 5e-3, 2000, "color_crop_cutout", 0.5),
        ("svhn", "mse", 5e-3, 500, "color_crop_cutout", 0.5),
        ("mnist", "l1", 1e-4, 500, "color_crop", 0.0),
        ("fashionmnist", "l1", 1e-4 * 49 / 64, 500, "color_crop_cutout", 0.5),
        ("digits", "l1", 1e-4 * 256 / 784, 500, "color_crop", 0.0),
        ("mine", "mse", 5e-3, 500, "color_crop_cutout", 0.5),
    ],
)
def test_the_released_codes_settings(
    dataset: str, metric: str, rate: float, train: int, augment: str, cutmix: float
) -> None:
    for ipc in (1, 10, 50):
        params = resolve(IDC.Params, {}, owner="idc", ipc=ipc, dataset=dataset)
        assert params.lr_img == pytest.approx(rate * ipc / 10)
    found = (params.metric, params.train_images, params.augment, params.cutmix)
    assert found == (metric, train, augment, cutmix)
    lite = resolve_profile(IDC, "lite", {}, 50, dataset)
    assert lite.lr_img == pytest.approx(4 * params.lr_img)


@pytest.mark.parametrize(("ipc", "networks"), [(1, 18), (8, 8), (10, 8), (50, 8)])
def test_lite_is_what_it_says(ipc: int, networks: int) -> None:
    params = resolve_profile(IDC, "lite", {}, ipc, "cifar10")
    assert (params.iterations, params.inner) == (networks, 10)
    assert str(networks) in IDC.profiles["lite"].gives_up
