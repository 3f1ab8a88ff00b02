"""Batch norm over the batch of all processes, also without CUDA."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks


class RankNorm(nn.Module):
    """`nn.BatchNorm1d` to `3d` with statistics over the rows of all ranks in training.

    Parameters, buffers and their names are those of the replaced norm, so a checkpoint fits both. A rank may hold no
    row. It needs two small exchanges in each direction: the means, then the squares around them; a single exchange of
    sums and squares would lose digits to rounding. torch's SyncBatchNorm does the same on CUDA only.

    Args:
        norm: The batch norm to replace.
        drop: Applied after the norm.
        act: Applied after `drop`.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: _BatchNorm, drop: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)
        self.register_buffer("num_batches_tracked", norm.num_batches_tracked)
        self.drop, self.act = drop, act

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, C, ...) per channel."""
        if not self.training:
            y = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
            return self.act(self.drop(y))
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        places = wide.new_full((1,), x.numel() // x.shape[1])
        *sums, n = _over_ranks(torch.cat([wide.sum(axes), places])).unbind()
        mean = torch.stack(sums) / n
        centred = wide - mean.view(shape)
        variance = _over_ranks(centred.square().sum(axes)) / n
        with torch.no_grad():
            self._remember(mean, variance * (n / (n - 1).clamp_min(1)))
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return self.act(self.drop(y.to(x.dtype)))

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def over_ranks(module: nn.Module, device: torch.device) -> nn.Module:
    """Replaces every batch norm in a module by one over all ranks.

    Args:
        module: Changed in place.
        device: On CUDA, timm's conversion to SyncBatchNorm is used.

    Returns:
        The module.
    """
    from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm

    if device.type == "cuda":
        return convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if isinstance(child, BatchNormAct2d):  # timm's norm includes dropout and activation
            setattr(
                module, name, RankNorm(cast(_BatchNorm, child), cast(nn.Module, child.drop), cast(nn.Module, child.act))
            )
        elif isinstance(child, _BatchNorm):
            setattr(module, name, RankNorm(child, nn.Identity(), nn.Identity()))
        else:
            over_ranks(child, device)
    return module


def _over_ranks(part: Tensor) -> Tensor:
    """Sum of all ranks' tensors, with gradient."""
    return Ranks().gather({"part": Embeddings(part[None], {})})["part"].z.sum(0)
