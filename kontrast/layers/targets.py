"""Targets: points on the sphere that lie as far from one another as they can, and which class goes to which."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import exact


def uniform_points(number: int, width: int, *, steps: int = 1000, seed: int = 0) -> Tensor:
    """(number, width) unit vectors that minimise mean_i log sum_{j != i} e^(t_i . t_j / 0.1).

    With width >= number - 1 they are a simplex, every pair at cosine -1 / (number - 1), turned at random; else they are
    found in `steps` steps. Targeted supervised contrast puts each class on one, so that rare classes get as much room
    as frequent ones (Li et al. 2022, arXiv:2111.13998).
    """
    if 1 < number <= width + 1:
        return _simplex(number, width, seed).float()
    start = torch.randn(number, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    points = start.requires_grad_()
    optimiser = torch.optim.Adam([points], lr=0.05)
    itself = torch.eye(number, dtype=torch.bool)
    for step in range(steps if number > 1 else 0):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * (1 - step / steps)
        t = F.normalize(points, dim=-1)
        loss = (t @ t.mT / 0.1).masked_fill(itself, -torch.inf).logsumexp(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return F.normalize(points.detach(), dim=-1).float()


def _simplex(number: int, width: int, seed: int) -> Tensor:
    """The axes of `number` dimensions less their mean span one dimension less; these lie in a random subspace."""
    _, basis = torch.linalg.eigh(torch.eye(number, dtype=torch.float64) - 1 / number)  # the first has eigenvalue 0
    drawn = torch.randn(width, number - 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(basis[:, 1:], dim=-1) @ torch.linalg.qr(drawn)[0].mT


def assign(means: Tensor, points: Tensor) -> Tensor:
    """(classes,): which point each class takes, no two the same, so that the summed cosine to the class means is
    largest.

    means: (classes, D) of present embeddings (zeros for a class without rows); points: at least as many, (K, D). TSC
    assigns anew every epoch or step, so that semantically close classes keep close targets.
    """
    from scipy.optimize import linear_sum_assignment

    alike = F.normalize(exact(means.detach()), dim=-1) @ F.normalize(exact(points), dim=-1).mT
    return torch.as_tensor(linear_sum_assignment(alike.cpu().numpy(), maximize=True)[1], device=means.device)
