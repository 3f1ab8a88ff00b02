"""Running mean of a teacher's scores, subtracted so that no output dimension dominates."""

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks


class Centre(nn.Module):
    """Subtracts the running mean c of a teacher's scores (DINO, arXiv:2104.14294).

    Call `update` after the optimiser's step, with the scores that the teacher gave in it.

    Args:
        width: Number of scores K.
        momentum: Share of the old mean that each update keeps, from 0 to below 1; 0.9 as in DINO.

    Equation:
        c <- momentum c + (1 - momentum) mean of all ranks' scores.
    """

    mean: Tensor

    def __init__(self, *, width: int, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise UserError(f"centre: momentum={momentum}: expected 0 or more, below 1.")
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (..., K) minus the centre."""
        return scores - self.mean

    @torch.no_grad()
    def update(self, scores: Tensor, ranks: Ranks) -> None:
        """Moves the centre towards the mean of the scores (..., K) of all ranks."""
        flat = scores.flatten(0, -2).to(self.mean.dtype)
        found = ranks.sum(torch.cat([flat.sum(0), flat.new_tensor([len(flat)])]))
        if found[-1] > 0:
            self.mean.lerp_(found[:-1] / found[-1], 1 - self.momentum)
