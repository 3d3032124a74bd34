"""Each operation against its formula at fixed parameters, its gradients, and Kornia's replay."""

from __future__ import annotations

import pytest
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor
from torch.nn import functional as F

from bench.augment.base import Operation
from bench.augment.dsa import OPERATIONS
from bench.augment.geometric import AffineOperation, Crop, Flip, Rotate, Scale
from bench.augment.intensity import Brightness, Contrast, Cutout, Saturation

KINDS = [kind for kinds in OPERATIONS.values() for kind in kinds]
SHAPE = (3, 8, 6)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 4, shape: tuple[int, int, int] = SHAPE, dtype=torch.float64) -> Tensor:
    return torch.randn(n, *shape, generator=seeded(1), dtype=dtype)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)


def test_brightness_adds_its_parameter():
    images = pictures(2)
    out = Brightness().augment(images, {"brightness": torch.tensor([0.25, -0.5])})
    torch.testing.assert_close(out, images + column(0.25, -0.5))


def test_saturation_scales_the_distance_to_the_channel_mean():
    images = pictures(2)
    out = Saturation().augment(images, {"saturation": torch.tensor([0.5, 1.75])})
    mean = images.mean(dim=1, keepdim=True)
    torch.testing.assert_close(out, (images - mean) * column(0.5, 1.75) + mean)


def test_saturation_leaves_grey_images_as_they_are():
    images = pictures(2, (1, 5, 5))
    assert torch.equal(Saturation().augment(images, {"saturation": torch.tensor([0.1])}), images)


def test_contrast_scales_the_distance_to_the_image_mean():
    images = pictures(2)
    out = Contrast().augment(images, {"contrast": torch.tensor([0.5, 1.25])})
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(out, (images - mean) * column(0.5, 1.25) + mean)


@pytest.mark.parametrize("row", [-1, 0, 1])
@pytest.mark.parametrize("col", [-1, 0, 1])
def test_crop_translates_and_pads_with_zeros(row, col):
    images = pictures(2)
    params = {"crop_row": torch.tensor([row]), "crop_column": torch.tensor([col])}
    expected = torch.zeros_like(images)
    for i in range(8):
        for j in range(6):
            if 0 <= i + row < 8 and 0 <= j + col < 6:
                expected[:, :, i, j] = images[:, :, i + row, j + col]
    assert torch.equal(Crop().augment(images, params), expected)


@pytest.mark.parametrize(("size", "centres"), [(8, 9), (6, 6), (28, 29), (5, 5), (1, 1)])
def test_cutout_zeroes_a_square_of_half_the_side_cut_at_the_border(size, centres):
    side = int(size * 0.5 + 0.5)
    rows, columns = (
        t.flatten() for t in torch.meshgrid(*[torch.arange(centres)] * 2, indexing="ij")
    )
    images = torch.ones(centres**2, 2, size, size)
    out = Cutout().augment(images, {"cutout_row": rows, "cutout_column": columns})
    for image, row, col in zip(out, rows.tolist(), columns.tolist(), strict=True):
        expected = torch.ones(2, size, size)
        top, left = row - side // 2, col - side // 2
        expected[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0
        assert torch.equal(image, expected)
        assert (image == 0).any()


def test_flip_mirrors_the_rows_that_say_so():
    images = pictures(3)
    out = Flip().augment(images, {"flip": torch.tensor([True, False, True])})
    assert torch.equal(out[1], images[1])
    assert torch.equal(out[0], images[0].flip(-1))
    assert torch.equal(out[2], images[2].flip(-1))


def test_scale_samples_at_the_scaled_position():
    images = pictures(2)
    params = {"scale_x": torch.tensor([0.9, 1.2]), "scale_y": torch.tensor([1.1, 0.85])}
    theta = torch.tensor(
        [[[0.9, 0, 0], [0, 1.1, 0]], [[1.2, 0, 0], [0, 0.85, 0]]], dtype=torch.float64
    )
    grid = F.affine_grid(theta, [2, *SHAPE], align_corners=False)
    expected = F.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(Scale().augment(images, params), expected, atol=1e-5, rtol=0)


def test_scale_below_one_enlarges():
    image = torch.zeros(1, 1, 4, 4)
    image[:, :, 1:3, 1:3] = 1
    half = torch.tensor([0.5])
    out = Scale().augment(image, {"scale_x": half, "scale_y": torch.tensor([1.0])})
    assert torch.equal(out[0, 0, 1], torch.tensor([0.75, 1, 1, 0.75]))
    assert torch.equal(out[0, 0, 0], torch.zeros(4))


def test_rotate_samples_at_the_turned_position():
    images = pictures(1)
    angle = torch.deg2rad(torch.tensor(12.0, dtype=torch.float64))
    theta = torch.stack([angle.cos(), -angle.sin(), angle * 0, angle.sin(), angle.cos(), angle * 0])
    grid = F.affine_grid(theta.view(1, 2, 3), [1, *SHAPE], align_corners=False)
    expected = F.grid_sample(images, grid, align_corners=False)
    out = Rotate().augment(images, {"degrees": torch.tensor([12.0])})
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_rotate_turns_anticlockwise_for_positive_angles():
    images = pictures(1, (2, 7, 7))
    out = Rotate().augment(images, {"degrees": torch.tensor([90.0])})
    torch.testing.assert_close(out, images.rot90(1, (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(kind):
    operation: Operation = kind()
    shape = (3, 5, 4)
    params = operation.draw(2, shape, seeded(3))
    images = pictures(2, shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: operation.augment(x, params), (images,))
    assert torch.autograd.grad(operation.augment(images, params).sum(), images)[0].abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_result_keeps_shape_and_dtype_and_is_near_the_exact_one(kind, dtype):
    operation: Operation = kind()
    params = operation.draw(4, SHAPE, seeded(2))
    images = pictures(dtype=dtype)
    out = operation.augment(images, params)
    assert (out.shape, out.dtype) == (images.shape, dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    exact = operation.augment(images.double(), params)
    torch.testing.assert_close(out.double(), exact, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_kornia_forward_replays_given_and_own_parameters(kind):
    images = pictures(dtype=torch.float32)
    operation: Operation = kind(seeded(5))
    params = kind().draw(4, SHAPE, seeded(5))
    expected = operation.augment(images, params)
    assert torch.equal(operation(images, params=dict(params)), expected)
    assert torch.equal(operation(images), expected)
    own = kind(seeded(5)).forward_parameters(images.shape)
    assert torch.equal(operation(images, params=own), expected)
    assert torch.equal(
        operation(images[0], params={k: v[:1] for k, v in params.items()}), expected[0]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_kornia_forward_replays_one_row_on_any_batch(kind):
    operation: Operation = kind(seeded(5), same_on_batch=True)
    two = pictures(2, dtype=torch.float32)
    params = operation.forward_parameters(two.shape)
    first = operation(two, params=params)
    more = operation(pictures(4, dtype=torch.float32), params=params)
    rows = [v for k, v in params.items() if k not in ("batch_prob", "forward_input_shape")]
    assert all(len(row) == 1 for row in rows)
    torch.testing.assert_close(more[:2], first)


def test_a_call_without_generator_or_params_is_refused():
    with pytest.raises(ValueError, match="Crop does not draw from global state"):
        Crop()(pictures())


@pytest.mark.parametrize("kind", [k for k in KINDS if issubclass(k, AffineOperation)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 8, 6)])
def test_transform_matrix_moves_pixels_as_the_operation_does(kind, shape):
    operation = kind(seeded(11))
    images = pictures(shape=shape, dtype=torch.float32)
    out = operation(images)
    matrix = operation.transform_matrix
    assert matrix.shape == (4, 3, 3)
    warped = warp_affine(images, matrix[:, :2], shape[1:], align_corners=True)
    torch.testing.assert_close(out, warped, atol=1e-4, rtol=0)
