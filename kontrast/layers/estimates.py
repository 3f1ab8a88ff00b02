"""Estimates: a running mean a sample, in log space, of what a batch alone estimates badly."""

import torch
from torch import Tensor, nn

from kontrast.core.ranks import Ranks
from kontrast.core.rows import Rows


class Estimates(nn.Module):
    """u_i <- (1 - rate) u_i + rate g_i for the samples seen, kept as log u; the first value of a sample is taken whole.

    SogCLR's estimate of each anchor's denominator over the data set (Yuan et al. 2022, arXiv:2202.12387, rate 0.9), by
    which small batches need no large ones. ids are 0 to samples - 1; saved with the model.
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
        """log u of these samples once the new values of all ranks are in; several of a sample count by their mean."""
        seen = Ranks().gather({"g": Rows(log_g[:, None].to(self.log_u), {"id": ids})})["g"]
        slots, of, times = seen.keys["id"].unique(return_inverse=True, return_counts=True)
        top = seen.z.max()
        mean = torch.zeros_like(self.log_u[slots]).index_add_(0, of, (seen.z[:, 0] - top).exp()) / times
        new, old = mean.log() + top, self.log_u[slots]
        rate = torch.where(old == -torch.inf, 1.0, torch.full_like(old, self.rate))
        self.log_u[slots] = torch.logaddexp(old + (1 - rate).log(), new + rate.log())
        return self.log_u[ids]
