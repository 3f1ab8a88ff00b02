"""Centre: the running mean of a teacher's scores, taken off so that no output dimension wins for everyone."""

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks


class Centre(nn.Module):
    """c <- momentum c + (1 - momentum) mean of all ranks' scores; forward takes c off (DINO, arXiv:2104.14294).

    Update after the optimiser's step, with the scores the teacher gave in it.
    """

    mean: Tensor

    def __init__(self, *, width: int, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise UserError(f"centre: momentum={momentum}: expected 0 or more, below 1.")
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, scores: Tensor) -> Tensor:
        """(..., K) less the centre."""
        return scores - self.mean

    @torch.no_grad()
    def update(self, scores: Tensor, ranks: Ranks) -> None:
        """Move towards the mean of (..., K) scores, whoever has how many."""
        flat = scores.flatten(0, -2).to(self.mean.dtype)
        found = ranks.sum(torch.cat([flat.sum(0), flat.new_tensor([len(flat)])]))
        if found[-1] > 0:
            self.mean.lerp_(found[:-1] / found[-1], 1 - self.momentum)
