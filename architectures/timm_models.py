"""Any model of timm: ``timm:resnet50``, ``timm:vit_tiny_patch16_224(resize=224)``.

Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models. An optional
extra, imported only where a name asks for it. Models start from fresh weights, never pretrained.

Two things differ from timm's own defaults. Chance is off (dropout, stochastic depth), because a
network's seed must decide what becomes of it; and attention is written out, because PyTorch's
fused kernels cannot be differentiated twice, which gradient matching needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import Architecture, BenchError, DatasetSpec, param

# What timm's layers call stochastic depth, dropout by function, and fused attention.
_OFF = {"drop_prob": 0.0, "drop_rate": 0.0, "fused_attn": False}


@dataclass(frozen=True)
class TimmParams:
    """What can be set of a timm model; its name comes after the colon."""

    model: str = param("", help="timm's name of the model")
    resize: int | None = param(
        None,
        help="side in pixels that images are resized to first; none keeps theirs",
        min=1,
        max=2048,
    )


class Timm(Architecture):
    """Any model of timm by its name, as timm:NAME; needs the timm extra."""

    name = "timm"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    Params = TimmParams

    @classmethod
    def fixed_by(cls, member: str) -> Mapping[str, Any]:
        """Return the model that ``timm:NAME`` names.

        Raises:
            BenchError: timm is not installed, or has no model of that name.
        """
        model = member.partition(":")[2]
        if not model:
            raise BenchError(
                f"architecture '{member}' needs the name of a model: write timm:NAME, such as "
                "timm:resnet50"
            )
        if model not in model_names():
            raise BenchError(_unknown(model))
        return {"model": model}

    @classmethod
    def build(cls, spec: DatasetSpec, params: TimmParams) -> TimmNetwork:
        """Return a freshly initialised model for images of that size.

        Raises:
            BenchError: if it cannot take them, with its own words.
        """
        size = (params.resize or spec.height, params.resize or spec.width)
        try:
            model = _create(
                params.model, size, num_classes=spec.num_classes, in_chans=spec.channels
            )
            network = TimmNetwork(model, params.resize)
            _try(network, spec)
        except Exception as error:  # each of a thousand models refuses in its own way
            raise BenchError(_refusal(spec, params, error)) from error
        return network

    @classmethod
    def per_sample(cls, params: TimmParams) -> bool:
        """True unless some layer keeps running statistics, as every kind of batch norm does."""
        return _is_per_sample(params.model)


class TimmNetwork(nn.Module):
    """A timm model with ``embed``, the features that its classifier sees.

    Args:
        model: created by timm.
        resize: side that images are resized to, bilinearly; ``None`` keeps theirs.
    """

    def __init__(self, model: Any, resize: int | None) -> None:
        super().__init__()
        self.model, self.resize = model, resize

    def embed(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to the classifier's input ``(N, D)``."""
        maps = self.model.forward_features(self._resized(x))
        features: Tensor = self.model.forward_head(maps, pre_logits=True)
        return features.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        logits: Tensor = self.model(self._resized(x))
        return logits

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize is None:
            return x
        return F.interpolate(x, (self.resize, self.resize), mode="bilinear")


def _create(name: str, size: tuple[int, int] | None = None, **settings: int) -> nn.Module:
    """Create a model without dropout; pass the images' size to those made for one size only."""
    timm = _timm()
    if size is not None and timm.get_pretrained_cfg(name).fixed_input_size:
        settings["img_size"] = size  # type: ignore[assignment]
    model: nn.Module = timm.create_model(name, pretrained=False, **settings)
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for attribute, off in _OFF.items():
            if hasattr(module, attribute):
                setattr(module, attribute, off)
    return model


def _try(network: TimmNetwork, spec: DatasetSpec) -> None:
    """Run two blank images through: what cannot take them fails now, not while training.

    A transformer would take images that its patches do not tile, and not look at the rest.
    """
    patch = _tiles(network.model)
    size = (network.resize,) * 2 if network.resize else (spec.height, spec.width)
    if any(side % p for side, p in zip(size, patch, strict=True)):
        raise ValueError(f"its patches of {patch[0]}x{patch[1]} do not tile them")
    network.eval()
    with torch.no_grad():
        blank = torch.zeros(2, *spec.shape)
        for what, made in (("logits", network(blank)), ("features", network.embed(blank))):
            if made.ndim != 2:
                raise ValueError(f"its {what} have the shape {tuple(made.shape)}")
    network.train()


def _tiles(model: Any) -> tuple[int, int]:
    """Return the size of a transformer's patches if they lie side by side, else a pixel."""
    embed = getattr(model, "patch_embed", None)
    patch = getattr(embed, "patch_size", None)
    # Where patches overlap, convolutions with padding make them, and every size will do.
    stride = getattr(getattr(embed, "proj", None), "stride", None)
    return tuple(patch) if patch is not None and patch == stride else (1, 1)


@lru_cache
def _is_per_sample(name: str) -> bool:
    with torch.device("meta"):
        model = _create(name)
    return not any(key.endswith("running_var") for key, _ in model.named_buffers())


@lru_cache
def model_names() -> tuple[str, ...]:
    """Return the names of all models of the installed timm."""
    return tuple(_timm().listmodel_names())


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise BenchError(
            "architectures named timm:NAME need timm, which is not installed: "
            "pip install 'distillation-bench[timm]'"
        ) from error
    module: ModuleType = timm
    return module


def _unknown(model: str) -> str:
    plain, _, tag = model.partition(".")
    if tag and plain in model_names():
        return (
            f"timm:{model} names pretrained weights, and every network here starts from fresh "
            f"ones: write timm:{plain}"
        )
    near = get_close_matches(model, model_names(), n=3)
    hint = f" Did you mean {' or '.join(f'timm:{n}' for n in near)}?" if near else ""
    return (
        f"timm {_timm().__version__} has no model '{model}'.{hint} "
        f"timm.listmodel_names() lists all {len(model_names())}."
    )


def _refusal(spec: DatasetSpec, params: TimmParams, error: Exception) -> str:
    own = _timm().get_pretrained_cfg(params.model).input_size[-1]
    words = f"{type(error).__name__}: {error}".rstrip(": ")
    resized = f" resized to {params.resize}" if params.resize else ""
    refusal = (
        f"timm:{params.model} cannot take the {spec.height}x{spec.width} images of {spec.name}"
        f"{resized} ({words})"
    )
    if own == params.resize:
        return refusal
    return (
        f"{refusal}; timm:{params.model}(resize={own}) shows it images of the size it was made for"
    )
