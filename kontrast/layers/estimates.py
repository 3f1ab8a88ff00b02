"""Estimates: a running mean a sample, in log space, of what a batch alone estimates badly."""

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks


class Estimates(nn.Module):
    """u_i <- (1 - rate) u_i + rate g_i for each sample seen, kept as log u; a sample's first value is taken whole.

    SogCLR's estimate of each anchor's denominator over the data set (Yuan et al. 2022, arXiv:2202.12387, rate 0.9), by
    which small batches need no large ones. Each view gets an estimate with its own g_i; the mean over a sample's views
    is what is kept, as the authors' code has it. ids are 0 to samples - 1; saved with the model.
    """

    log_u: Tensor

    def __init__(self, *, samples: int, rate: float = 0.9) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f"estimates: rate={rate}; expected above 0, at most 1.")
        self.rate = rate
        self.register_buffer("log_u", torch.full((samples,), -torch.inf))

    @torch.no_grad()
    def update(self, ids: Tensor, log_g: Tensor) -> Tensor:
        """log of (1 - rate) u + rate g for each row, u what was kept; then u becomes its mean over a sample's rows,
        those of all ranks."""
        seen = Ranks().gather({"g": Embeddings(log_g[:, None].to(self.log_u), {"id": ids})})["g"]
        slots, of, times = seen.keys["id"].unique(return_inverse=True, return_counts=True)
        top = seen.z.max()
        mean = torch.zeros_like(self.log_u[slots]).index_add_(0, of, (seen.z[:, 0] - top).exp()) / times
        own = self._mixed(self.log_u[ids], log_g.to(self.log_u))
        self.log_u[slots] = self._mixed(self.log_u[slots], mean.log() + top)
        return own

    def _mixed(self, old: Tensor, new: Tensor) -> Tensor:
        rate = torch.where(old == -torch.inf, 1.0, torch.full_like(old, self.rate))
        return torch.logaddexp(old + (1 - rate).log(), new + rate.log())
