"""Running mean per sample, in log space, of a quantity that one batch estimates badly."""

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks


class Estimates(nn.Module):
    """Running mean u_i per sample, kept as log u_i.

    SogCLR's estimate of each anchor's denominator over the data set, which makes large batches unnecessary. Each view
    mixes in its own g_i; the mean over a sample's views is kept, as in the authors' code. Saved with the model.

    Args:
        samples: Number of samples; ids are 0 to samples - 1.
        rate: Share of the new value, above 0 and at most 1; 0.9 as in the paper. The first value of a sample is taken
            whole.

    Equation:
        u_i <- (1 - rate) u_i + rate g_i.

    Reference:
        Yuan et al. 2022, arXiv:2202.12387.
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
        """Mixes in new values and returns the mixed value of each row.

        Args:
            ids: (N,) samples.
            log_g: (N,) log of the new values.

        Returns:
            (N,) log((1 - rate) u + rate g), with the u kept before. What is kept afterwards is the mean over a sample's
            rows on all ranks.
        """
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
