"""Class targets: points far apart on the sphere, and their assignment to classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import exact


def uniform_points(number: int, width: int, *, steps: int = 1000, seed: int = 0) -> Tensor:
    """Unit vectors spread as evenly as possible over the sphere.

    They minimise mean_i log sum_{j != i} e^(t_i . t_j / 0.1). Targeted supervised contrast puts each class on one, so
    that rare classes get as much room as frequent ones (Li et al. 2022, arXiv:2111.13998).

    Args:
        number: Number of points.
        width: Dimensions. From number - 1 on, the points are a randomly rotated simplex, each pair at cosine -1 /
            (number - 1).
        steps: Optimisation steps with fewer dimensions.
        seed: Seed of the rotation or of the start.

    Returns:
        (number, width).
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
    """A regular simplex in a random subspace, from axes minus their mean."""
    _, basis = torch.linalg.eigh(torch.eye(number, dtype=torch.float64) - 1 / number)  # the first has eigenvalue 0
    drawn = torch.randn(width, number - 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(basis[:, 1:], dim=-1) @ torch.linalg.qr(drawn)[0].mT


def assign(means: Tensor, points: Tensor) -> Tensor:
    """Assigns each class its own point, with the largest summed cosine to the class means.

    TSC repeats it every epoch or step, so that semantically close classes keep close targets.

    Args:
        means: (classes, D) mean embeddings, zeros for a class without rows.
        points: (K, D) targets, at least as many as classes.

    Returns:
        (classes,) index of each class's point.
    """
    from scipy.optimize import linear_sum_assignment

    alike = F.normalize(exact(means.detach()), dim=-1) @ F.normalize(exact(points), dim=-1).mT
    return torch.as_tensor(linear_sum_assignment(alike.cpu().numpy(), maximize=True)[1], device=means.device)
