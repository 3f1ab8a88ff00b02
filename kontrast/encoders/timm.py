"""Image models of the timm library, with public weights, local weights or none."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_SEED = 6_027_551  # of the weights that a file must replace; unlikely to be chosen by anyone else


class Timm(Encoder):
    """Image model of the timm library: its pooled features before the classifier.

    Take it for pretrained or large image models; for small images from scratch `ResNet` is faster. Nothing pickled is
    ever loaded.

    Args:
        model: Name as timm lists it ("resnet10t", "vit_base_patch16_224.mae").
        channels: Of the images; from the data.
        size: Side of the images in pixels; from the data. None: the model's own.
        pretrained: Whether to take weights from the Hugging Face hub or its cache.
        weights: Local .safetensors file instead, for machines without a network.
        freeze: Whether the weights stay as they are and the model in eval mode.
        classifier: Whether its features are the scores of the classes it was trained on, for a teacher of classes.

    Raises:
        UserError: an unknown model or weights, or a model that cannot take such images.

    Reference:
        Wightman, "PyTorch Image Models", 2019.

    Example:
        >>> Timm(model="resnet10t")(torch.zeros(2, 3, 32, 32)).pooled.shape
        torch.Size([2, 512])
    """

    def __init__(
        self,
        *,
        model: str,
        channels: int = 3,
        size: int | None = None,
        pretrained: bool = False,
        weights: str | None = None,
        freeze: bool = False,
        classifier: bool = False,
    ) -> None:
        super().__init__()
        config = _config(model)
        options: dict[str, Any] = {"in_chans": channels, "num_classes": config.num_classes if classifier else 0}
        if config.fixed_input_size and size:
            options["img_size"] = size
        file = _local(weights) if weights else _downloaded(model, config) if pretrained else None
        try:
            self.net: Any = _loaded(model, options, file) if file else _built(model, options)
            self.width, self.dense_width = _widths(self.net, channels, size or config.input_size[-1])
        except (RuntimeError, AssertionError, KeyError, ValueError, SafetensorError) as error:
            raise UserError(
                f"timm: '{model}' cannot be built for {channels} channels and {size or 'its own number of'} pixels"
                f"{f' from {weights}' if weights else ''}: {str(error)[:300]}. It expects images of "
                f"{config.input_size[-1]} pixels{', and a file of its own weights' if weights else ''}."
            ) from error
        self.frozen = freeze
        if freeze:
            self.requires_grad_(False)
        self.train()

    def forward(self, x: Tensor) -> Features:
        """Features of images, dense ones at the places of the last map or the patches.

        Args:
            x: (B, C, S, S).

        Returns:
            Pooled (B, width); dense (B, P, dense_width), row by row from the top left, without class tokens. None for
            the few models whose features before pooling are no square map.
        """
        if self.dense_width is None:
            return Features(self.net(x))
        found = self.net.forward_features(x)
        return Features(self.net.forward_head(found), _dense(self.net, found))

    def recompute(self) -> bool:
        """Uses timm's own checkpoints; False if the model has none or holds batch norms."""
        if self.frozen or any(isinstance(part, _BatchNorm) for part in self.net.modules()):
            return False
        try:
            self.net.set_grad_checkpointing(True)  # pyright: ignore[reportCallIssue]
        except (AttributeError, AssertionError):  # of a model that timm wrote none for
            return False
        self.recomputes = True
        return True

    def train(self, mode: bool = True) -> "Timm":
        """Sets training mode; a frozen model stays in eval mode, with its batch statistics."""
        return super().train(mode and not self.frozen)

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """Neither hub nor weight file: the run has its own weights."""
        return {"pretrained": False, "weights": None}

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The model's own image size; with weights, also the colours they were trained on.

        Nothing is downloaded.

        Raises:
            UserError: no model is named, or timm does not know it.
        """
        if "model" not in settings:
            raise UserError("timm: name the model: model='resnet10t', or any other that timm lists.")
        config = _config(settings["model"])
        asked: dict[str, Any] = {"size": config.input_size[-1]}
        if settings.get("pretrained") or settings.get("weights"):
            asked |= {"channels": config.input_size[0], "mean": list(config.mean), "std": list(config.std)}
        return asked


def _config(model: str) -> Any:
    """What timm knows of a model without building it."""
    import timm
    from timm.models import get_pretrained_cfg

    bare, _, tag = model.partition(".")
    if not timm.is_model(bare):
        near = difflib.get_close_matches(bare, timm.list_models(), n=3) or timm.list_models(f"*{bare}*")[:5]
        tip = f"did you mean {' or '.join(near)}?" if near else "`timm.list_models()` lists all."
        raise UserError(f"timm: there is no model '{model}'; {tip}")
    try:
        return get_pretrained_cfg(model)
    except RuntimeError as error:
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{bare}.*")]
        raise UserError(f"timm: '{bare}' has no weights '{tag}'; there is: {', '.join(tags) or 'nothing'}.") from error


def _local(weights: str) -> Path:
    path = Path(weights)
    if path.suffix != ".safetensors":
        raise UserError(
            f"timm: weights='{weights}': expected a .safetensors file; other formats can run code when read."
        )
    if not path.is_file():
        raise UserError(f"timm: weights='{weights}': there is no such file.")
    return path


def _downloaded(model: str, config: Any) -> Path:
    """Safetensors of the model from hub or cache; timm's own download would take pickles too."""
    from huggingface_hub import hf_hub_download

    if not config.hf_hub_id:
        raise UserError(f"timm: '{model}' has no public weights; choose another model or leave pretrained=False.")
    name = "open_clip_model.safetensors" if "open_clip" in (config.hf_hub_filename or "") else "model.safetensors"
    try:
        return Path(hf_hub_download(config.hf_hub_id, name))
    except (OSError, ValueError) as error:
        raise UserError(
            f"timm: the weights of '{model}' are not in the Hugging Face cache and cannot be downloaded "
            f"({str(error).splitlines()[0][:200]}). With a network: try again. Without: fetch {name} of "
            f"https://huggingface.co/{config.hf_hub_id} elsewhere and set weights='path/to/{name}'."
        ) from error


def _built(model: str, options: dict[str, Any]) -> nn.Module:
    import timm

    return timm.create_model(model, **options)


def _loaded(model: str, options: dict[str, Any], file: Path) -> nn.Module:
    """Builds the model with weights of a file; timm ignores gaps in the file, so they are looked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        random = dict(_built(model, options).named_parameters())
        torch.manual_seed(_SEED)
        net = _built(model, {**options, "pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}})
    drawn = {name for name, p in random.items() if p.ndim > 1 and p.detach().std() > 0}
    left = [name for name, p in net.named_parameters() if name in drawn and torch.equal(p, random[name])]
    if left:
        raise ValueError(f"the file has no weights for {len(left)} of {len(drawn)} tensors, such as {left[0]}")
    return net


def _widths(net: Any, channels: int, size: int) -> tuple[int, int | None]:
    """Widths from dry passes: `num_features` is wrong for models such as MobileNetV4 or EfficientViT.

    Dense features are left out if pooling them is not all that the model does.
    """
    net.eval()
    x = torch.linspace(-1, 1, channels * size * size).view(1, channels, size, size)
    with torch.no_grad():
        pooled = net(x)
        try:
            found = net.forward_features(x)
            dense = _dense(net, found)
            same = dense is not None and torch.equal(net.forward_head(found), pooled)
        except (AttributeError, TypeError):  # of the few models whose parts take or give something else
            return pooled.shape[-1], None
    return pooled.shape[-1], dense.shape[-1] if dense is not None and same else None


def _dense(net: Any, found: Tensor) -> Tensor | None:
    """Features before pooling as (B, P, E); None if they are no square map."""
    if found.ndim == 4:
        # A model that says nothing has its channels first.
        map_BPE = found.flatten(1, 2) if getattr(net, "output_fmt", "NCHW") == "NHWC" else found.flatten(2).mT
    elif found.ndim == 3:
        map_BPE = found[:, getattr(net, "num_prefix_tokens", 0) :]
        if math.isqrt(map_BPE.shape[1]) ** 2 != map_BPE.shape[1] or map_BPE.shape[1] == 1:  # class tokens are left
            return None
    else:
        return None
    return map_BPE
